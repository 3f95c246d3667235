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
RELATIONAL = (
    Case(
        "RFC 5231: :value of numbers",
        'require ["relational", "comparator-i;ascii-numeric"];'
        ' if header :value "lt" :comparator "i;ascii-numeric" "x-priority" "10" { discard; }',
        (),
    ),
    Case(":value of text", 'require "relational"; if header :value "lt" "x-priority" "10" { discard; }', ("keep",)),
    Case(
        ":count of headers",
        'require ["relational", "comparator-i;ascii-numeric"];'
        ' if header :count "eq" :comparator "i;ascii-numeric" ["x-number", "x-priority"] "3" { discard; }',
        (),
    ),
    Case(
        ":count of addresses",
        'require ["relational", "comparator-i;ascii-numeric"];'
        ' if address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] "4" { discard; }',
        (),
    ),
    Case(
        "a list of keys is true when one is",
        'require ["relational", "comparator-i;ascii-numeric"];'
        ' if header :value "ne" :comparator "i;ascii-numeric" "x-priority" ["3", "4"] { discard; }',
        (),
    ),
)
REGEX = (
    Case(
        "the longest match, and its groups",
        'require ["regex", "variables", "fileinto"]; if header :regex "list-id" "(news|n)([a-z.]*)" { fileinto "${1}-${2}"; }',
        ("fileinto news-.example.net",),
    ),
    Case("without case", 'require "regex"; if header :regex "list-id" "^<NEWS" { discard; }', ()),
    Case("with case", 'require "regex"; if header :regex :comparator "i;octet" "list-id" "^<NEWS" { discard; }', ("keep",)),
)
SUBADDRESS = (
    Case("RFC 5233: :user", 'require "subaddress"; if address :user "to" "owner" { discard; }', ()),
    Case("RFC 5233: :detail", 'require ["subaddress", "envelope"]; if envelope :detail "to" "lists" { discard; }', ()),
    Case("no separator, no detail", 'require "subaddress"; if address :detail :contains "from" "" { discard; }', ("keep",)),
)
FLAGS = (
    Case("RFC 5232: flags of a keep", 'require "imap4flags"; keep :flags ["\\\\Seen", "urgent"];', ("keep \\seen urgent",)),
    Case(
        "the run's own flags",
        'require ["imap4flags", "fileinto"]; addflag "\\\\Seen"; addflag ["a b", "A"]; removeflag "b"; fileinto "A"; setflag "c";'
        ' fileinto "B";',
        ("fileinto A \\seen a", "fileinto B c"),
    ),
    Case("the implicit keep has them", 'require "imap4flags"; setflag "\\\\Flagged";', ("keep \\flagged",)),
    Case("hasflag", 'require "imap4flags"; setflag "a b"; if hasflag ["x", "B"] { discard; }', ()),
    Case(
        "flags in a variable",
        'require ["imap4flags", "variables"]; setflag "mine" "a b"; if hasflag :contains "mine" "b" { keep :flags "${mine}"; }',
        ("keep a b",),
    ),
)
OTHERS = (
    Case("RFC 3894: :copy", 'require ["copy", "fileinto"]; fileinto :copy "A";', ("fileinto A", "keep")),
    Case("redirect :copy", 'require "copy"; redirect :copy "a@example.com";', ("redirect a@example.com", "keep")),
    Case(
        "redirect :copy after a discard", 'require "copy"; discard; redirect :copy "a@example.com";', ("redirect a@example.com",)
    ),
    Case("RFC 5260: :index", 'require "index"; if header :index 2 "x-number" "9" { discard; }', ()),
    Case("RFC 5260: :last", 'require "index"; if header :index 2 :last "x-number" "10" { discard; }', ()),
    Case(
        "RFC 5260: parts of a date",
        'require ["date", "variables", "fileinto"]; if date :zone "-0300" :matches "date" "iso8601" "*" { fileinto "${0}"; }',
        ("fileinto 2026-01-09T15:30:15-03:00",),
    ),
    Case(
        "RFC 5260: the zone as written",
        'require ["date"]; if allof (date :originalzone "date" "zone" "+0200", date :originalzone "date" "weekday" "5",'
        ' date :originalzone "date" "julian" "61049", date :zone "+0000" "date" "std11" "Fri, 09 Jan 2026 18:30:15 +0000",'
        ' date :originalzone "date" "time" "20:30:15") { discard; }',
        (),
    ),
    Case(
        "RFC 5260: now is after then", 'require ["date", "relational"]; if currentdate :value "ge" "year" "2000" { discard; }', ()
    ),
    Case("RFC 5173: text of the body", 'require "body"; if body :contains "the café" { discard; }', ()),
    Case("RFC 5173: markup is no text", 'require "body"; if body :text :contains "<b>" { discard; }', ("keep",)),
    Case("RFC 5173: content of a type", 'require "body"; if body :content "text/html" :contains "<b>" { discard; }', ()),
    Case("RFC 5173: content is decoded", 'require "body"; if body :content "application" :contains "%PDF" { discard; }', ()),
    Case(
        "RFC 5173: of a multipart what is around",
        'require "body"; if body :content "multipart" :contains "preamble" { discard; }',
        (),
    ),
    Case("RFC 5173: raw", 'require "body"; if body :raw :contains "caf=C3=A9" { discard; }', ()),
    Case("RFC 5429: reject", 'require "reject"; reject "no";', ("reject no",)),
    Case("RFC 5490: INBOX is there", 'require "mailbox"; if mailboxexists "INBOX" { discard; }', ()),
    Case("RFC 5490: another is not", 'require "mailbox"; if mailboxexists ["INBOX", "no"] { discard; }', ("keep",)),
    Case("RFC 5490: :create", 'require ["mailbox", "fileinto"]; fileinto :create "no";', ("fileinto no",)),
)
_HERE = 'header :mime :contenttype "content-type" "application/pdf"'
PARTS = (
    Case(
        "RFC 5703: every part",
        f'require ["foreverypart", "mime", "fileinto"]; foreverypart {{ if {_HERE} {{ fileinto "pdf"; break; }} }}',
        ("fileinto pdf",),
    ),
    Case(
        "a parameter of a part",
        'require ["mime", "fileinto", "variables"];'
        ' if header :mime :anychild :param "filename" :matches "content-disposition" "*.pdf" { fileinto "${1}"; }',
        ("fileinto bill",),
    ),
    Case("without :mime it is the message", f'require "mime"; if {_HERE} {{ discard; }}', ("keep",)),
    Case(
        "extracttext",
        'require ["foreverypart", "extracttext", "variables", "fileinto"];'
        ' foreverypart { extracttext :upper :first 4 "t"; fileinto "a${t}"; break; }',
        ("fileinto a",),
    ),
    Case(
        "a break ends the loop that it names",
        'require "foreverypart"; foreverypart :name "a" { foreverypart { break :name "a"; } discard; }',
        ("keep",),
    ),
)
SENDING = (
    Case("RFC 5230", 'require "vacation"; vacation :days 3 "away";', ("vacation 259200 away", "keep")),
    Case("RFC 6131", 'require "vacation-seconds"; vacation :seconds 172800 "away";', ("vacation 172800 away", "keep")),
    Case(
        "RFC 5293: a field that was added is there",
        'require "editheader"; addheader "X-A" "b"; if header "x-a" "b" { discard; }',
        (),
    ),
    Case(
        "RFC 5293: deleted ones are not",
        'require "editheader"; deleteheader :index 2 "X-Number"; if header "x-number" "9" { discard; }',
        ("keep",),
    ),
    Case(
        "RFC 5293: those that match",
        'require "editheader"; deleteheader :matches "X-Number" "1*"; if header "x-number" "10" { keep; } else { discard; }',
        (),
    ),
    Case("RFC 5463", 'require "ihave"; if ihave "fileinto" { fileinto "A"; } else { error "no"; }', ("fileinto A",)),
    Case("RFC 5463: what is not there", 'require "ihave"; if ihave "vnd.example.no" { no_such "A"; } else { discard; }', ()),
    Case("RFC 7352: the first is no duplicate", 'require "duplicate"; if duplicate { keep; } else { discard; }', ()),
    Case("RFC 5435", 'require "enotify"; if valid_notify_method "mailto:a@example.com" { discard; }', ()),
    Case("RFC 5435: another method", 'require "enotify"; if valid_notify_method "nothing:a@example.com" { discard; }', ("keep",)),
)
CASES = (*PARTS, *SENDING, *BASE, *VARIABLES, *RELATIONAL, *REGEX, *SUBADDRESS, *FLAGS, *OTHERS)
