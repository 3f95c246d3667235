"""One message, one reading: the view of a message that filters, IMAP and delivery share."""


class TextPart: ...


class PartView: ...


class MessageView: ...
