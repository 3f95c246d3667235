"""The table of scripts; what they come to was written down from the RFCs' sentences, not from what a program does."""

from support.sieve import Case

BASE = (
    Case("an empty script keeps", "", ("keep",)),
    Case("RFC 5228 section 4.4: discard keeps nothing", "discard;", ()),
    Case("keep twice is one keep", "keep; keep;", ("keep",)),
    Case("fileinto cancels the implicit keep", 'require "fileinto"; fileinto "A/b";', ("fileinto A/b",)),
    Case("fileinto twice files once", 'require "fileinto"; fileinto "A"; fileinto "A";', ("fileinto A",)),
    Case("keep beside fileinto", 'require "fileinto"; fileinto "A"; keep;', ("fileinto A", "keep")),
    Case("redirect", 'redirect "a@example.com";', ("redirect a@example.com",)),
    Case("redirect twice to one address", 'redirect "a@example.com"; redirect "a@example.com";', ("redirect a@example.com",)),
    Case("stop ends with the implicit keep", "stop; discard;", ("keep",)),
    Case("discard after keep takes nothing back", "keep; discard;", ("keep",)),
    Case("elsif", 'if false { discard; } elsif true { redirect "a@example.com"; } else { keep; }', ("redirect a@example.com",)),
    Case("else", "if false { keep; } elsif false { keep; } else { discard; }", ()),
    Case("a nested if has its own else", "if true { if false { keep; } else { discard; } } else { keep; }", ()),
    Case("not", "if not false { discard; }", ()),
    Case("allof", "if allof (true, false) { discard; }", ("keep",)),
    Case("anyof", "if anyof (false, true) { discard; }", ()),
    Case("header :is with a decoded, unfolded value", 'if header :is "subject" "Grüße from far away" { discard; }', ()),
    Case("header :contains without case", 'if header :contains "SUBJECT" "FAR" { discard; }', ()),
    Case("i;octet has case", 'if header :comparator "i;octet" :contains "subject" "FAR" { discard; }', ("keep",)),
    Case("only ASCII letters have a case", 'if header :contains "subject" "GRÜßE" { discard; }', ("keep",)),
    Case(
        "RFC 5051: all letters have a case",
        'require "comparator-i;unicode-casemap"; if header :comparator "i;unicode-casemap" :contains "subject" "GRÜ" { discard; }',
        (),
        "Dovecot 2.3 has no such comparator",
    ),
    Case("header :matches", 'if header :matches "subject" "Gr??e*away" { discard; }', ()),
    Case("a quoted asterisk is an asterisk", r'if header :matches "subject" "Gr\\*" { discard; }', ("keep",)),
    Case("one of several headers, one of several keys", 'if header ["x-no", "x-priority"] ["4", "3"] { discard; }', ()),
    Case("a header that is not there matches nothing", 'if header :contains "x-no" "" { discard; }', ("keep",)),
    Case("an empty key is contained in everything", 'if header :contains "x-priority" "" { discard; }', ()),
    Case("address :all", 'if address :is "from" "sender@example.net" { discard; }', ()),
    Case("address :localpart", 'if address :localpart :is "from" "sender" { discard; }', ()),
    Case("address :domain", 'if address :domain :is ["to", "cc"] "example.com" { discard; }', ()),
    Case("an address test sees no names", 'if address :contains "cc" "Jürgen" { discard; }', ("keep",)),
    Case("members of groups are addresses", 'if address "to" "two@example.com" { discard; }', ()),
    Case("exists wants all of them", 'if exists ["from", "x-no"] { discard; }', ("keep",)),
    Case("exists", 'if exists ["from", "list-id"] { discard; }', ()),
    Case("size :over", "if size :over 1K { keep; } else { discard; }", ()),
    Case("size :under", "if size :under 1K { discard; }", ()),
    Case("envelope from", 'require "envelope"; if envelope "from" "sender@example.net" { discard; }', ()),
    Case("envelope to", 'require "envelope"; if envelope :localpart "to" "owner+lists" { discard; }', ()),
    Case(
        "encoded characters",
        'require ["encoded-character", "fileinto"]; fileinto "${hex: 41 62}${unicode:e9 2F 63}${unicode:}";',
        ("fileinto Abé/c${unicode:}",),
    ),
    Case("strings quote with a backslash", 'if header "x-priority" "\\3" { discard; }', ()),
    Case("text: with dots", 'require "fileinto"; if header :is "x-priority" text:\n..\n.\n{ keep; } else { discard; }', ()),
    Case("comments", "# one\n/* two\n * three **/ discard; # four", ()),
)
VARIABLES = (
    Case("a variable in a string", 'require ["variables", "fileinto"]; set "a" "x"; fileinto "${A}${b}y";', ("fileinto xy",)),
    Case(
        "RFC 5229 section 3.2: match values, shortest first",
        'require ["variables", "fileinto"]; if header :matches "list-id" "<*.*>" { fileinto "${1}-${2}-${0}-${3}"; }',
        ("fileinto news-example.net-<news.example.net>-",),
    ),
    Case(
        "a failed match leaves the values",
        'require ["variables", "fileinto"]; if header :matches "x-priority" "?" { keep; }'
        ' if header :matches "x-priority" "??" { keep; } fileinto "${1}";',
        ("keep", "fileinto 3"),
    ),
    Case(
        "modifiers by precedence",
        'require ["variables", "fileinto"]; set :upperfirst :lower "a" "jUMBO"; set :length "n" "${a}"; fileinto "${a}${n}";',
        ("fileinto Jumbo5",),
    ),
    Case(
        "quotewildcard",
        'require ["variables"]; set :quotewildcard "a" "*"; if header :matches "subject" "${a}" { discard; }',
        ("keep",),
    ),
    Case(
        "a reference in a reference",
        'require ["variables", "fileinto"]; set "a" "x"; fileinto "&${${a}!${unknown.a";',
        ("fileinto &${x!${unknown.a",),
    ),
    Case("string", 'require "variables"; set "a" "b"; if string :is ["x", "${a}"] "b" { discard; }', ()),
    Case(
        "a string test compares without case, too",
        'require "variables"; if string "a" "A" { discard; }',
        (),
        "Dovecot compares octets there; RFC 5228 section 2.7.3 names one comparator for all tests",
    ),
)
CASES = (*BASE, *VARIABLES)
