//! Everything about the structure of a message on which two mail programs could disagree, each with a sentence that a
//! sender can act on.
//!
//! A message that is read differently by the gateway and by the member's mail program can carry an attachment past the
//! gateway (CVE-2024-28054; "Inbox Invasion", CCS 2024; draft-chen-email-mime-ambiguity-defense). The gateway therefore
//! never guesses: what it names here is refused, or at least marked.

use super::PartId;
use crate::closed_list::closed_list;

/// One thing in one part on which mail programs would disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ambiguity {
    /// The part whose header or delimiters it is about.
    pub part: PartId,
    /// What it is.
    pub kind: AmbiguityKind,
}

closed_list! {
    /// What mail programs would disagree about.
    AmbiguityKind {
        /// The message contains carriage returns that do not end a line (RFC 5322 section 2.3); some programs start a new line there. Send it again with an ordinary mail program.
        BareCr = "bare-cr",
        /// The message contains line feeds without a carriage return (RFC 5322 section 2.3); some programs do not end the line there. Send it again with an ordinary mail program.
        BareLf = "bare-lf",
        /// The message contains NUL bytes (RFC 5322 section 2.3); some programs stop reading there. Attach nothing in raw binary form.
        Nul = "nul",
        /// Parts are nested too deeply to be checked. Forward the inner message by itself, or copy its text into a new one.
        TooDeep = "too-deep",
        /// The message has too many parts to be checked. Send it in several messages, or as text alone.
        TooManyParts = "too-many-parts",
        /// The header of a part is too long to be checked. Write the message anew with an ordinary mail program.
        HeaderTooLong = "header-too-long",
        /// A text has more tags than can be checked. Send a shorter one.
        TextTooLarge = "text-too-large",
        /// A line in a header is not a header field (RFC 5322 section 2.2): some programs end the header there, some skip the line. The program that produced the message must be corrected.
        MalformedHeaderLine = "malformed-header-line",
        /// A header field has a space before its colon: some programs ignore such a field, some obey it. The program that produced the message must be corrected.
        SpaceBeforeColon = "space-before-colon",
        /// A line of nothing but spaces stands before a field that describes the content: some programs end the header there. The program that produced the message must be corrected.
        WhitespaceLine = "whitespace-line",
        /// The header of a part is not followed by an empty line (RFC 2046 section 5.1). The program that produced the message must be corrected.
        HeaderWithoutEnd = "header-without-end",
        /// A part begins with text where its header should be; an empty line is missing (RFC 2046 section 5.1). The program that produced the message must be corrected.
        HeaderlessPart = "headerless-part",
        /// Header fields that describe the content stand after the empty line that ends the header: some programs skip leading empty lines. Remove the empty line, or the fields.
        HeaderAfterBlankLine = "header-after-blank-line",
        /// A field that describes the content (Content-Type, Content-Transfer-Encoding, Content-Disposition) is there more than once: some programs obey the first, some the last. Keep one.
        DuplicateField = "duplicate-field",
        /// The Content-Type of a part is not of the form type/subtype (RFC 2045 section 5.1): programs guess different types. State the type properly.
        MalformedContentType = "malformed-content-type",
        /// The Content-Disposition of a part cannot be read (RFC 2183): some programs show the part as an attachment, some as text. Write inline, or attachment.
        MalformedDisposition = "malformed-disposition",
        /// The Content-Transfer-Encoding of a part is not one of RFC 2045 section 6.1: some programs decode it, some do not. Use 7bit, 8bit, quoted-printable or base64.
        UnknownEncoding = "unknown-encoding",
        /// A field that describes the content contains a comment in parentheses: some programs skip comments, some read them. Remove the comment.
        CommentInField = "comment-in-field",
        /// A type, disposition, charset or boundary is written as an encoded word (=?…?=), which RFC 2047 section 5 forbids: some programs decode it. Write it in plain ASCII.
        EncodedWordInField = "encoded-word-in-field",
        /// A parameter of a field that describes the content is malformed (quotes, spaces, control characters or a missing semicolon; RFC 2045 section 5.1). Put its value in quotes.
        MalformedParameter = "malformed-parameter",
        /// A parameter is given twice with different values: some programs obey the first, some the last. Keep one.
        DuplicateParameter = "duplicate-parameter",
        /// A multipart states no boundary (RFC 2046 section 5.1.1): programs guess where its parts are. The program that produced the message must be corrected.
        MissingBoundary = "missing-boundary",
        /// A multipart states several boundaries: some programs use the first, some the last. Keep one.
        SeveralBoundaries = "several-boundaries",
        /// A boundary is split or encoded after RFC 2231, which many programs do not understand. Write it as one plain parameter.
        ExtendedBoundary = "extended-boundary",
        /// A boundary contains characters that RFC 2046 section 5.1.1 does not allow, or ends with a space. Use letters and digits.
        OddBoundary = "odd-boundary",
        /// A boundary is longer than the 70 characters of RFC 2046 section 5.1.1: some programs cut it. Use a shorter one.
        LongBoundary = "long-boundary",
        /// A multipart uses the same boundary as one that contains it: programs disagree about which of the two ends. Use different boundaries.
        BoundaryReused = "boundary-reused",
        /// The boundary of a multipart begins with the boundary of one that contains it, or the reverse: programs that compare only the beginning confuse them (RFC 2046 section 5.1.1). Use different boundaries.
        BoundaryPrefix = "boundary-prefix",
        /// A line begins like a boundary and goes on with something else: some programs take it for the boundary (RFC 2046 section 5.1.1), some for text. Change the line or the boundary.
        BoundaryWithJunk = "boundary-with-junk",
        /// A multipart contains no part: its boundary never occurs. Send the text without multipart, or with the right boundary.
        NoParts = "no-parts",
        /// A multipart has no closing boundary: the message may have been cut, and programs disagree about where it ends. Send it again.
        MissingEnd = "missing-end",
        /// A boundary occurs again after the end of its multipart: some programs show what follows, some do not. Put every part before the end.
        PartAfterEnd = "part-after-end",
        /// What stands before the first part of a multipart looks like a part or an encoded file: some programs show it. Remove it.
        HiddenInPreamble = "hidden-in-preamble",
        /// What stands after the last part of a multipart looks like a part or an encoded file: some programs show it. Remove it.
        HiddenInEpilogue = "hidden-in-epilogue",
        /// A multipart, or a message inside the message, is itself encoded (base64 or quoted-printable), which RFC 2045 section 6.4 forbids: some programs decode it, some do not. Encode only its innermost parts.
        EncodedComposite = "encoded-composite",
        /// A text in base64 contains characters that do not belong there: some programs skip them, some stop. Send it again with an ordinary mail program.
        ForeignBase64 = "foreign-base64",
        /// A text in base64 goes on after its end mark: some programs show what follows, some do not. Send it again with an ordinary mail program.
        Base64AfterEnd = "base64-after-end",
        /// A text states a boundary, which only a multipart has, and has lines that begin with it: some programs show parts there, and files. Remove the boundary.
        BoundaryOfText = "boundary-of-text",
        /// A text is in a character set that mail programs read differently (UTF-16 without its byte order mark or against it, UTF-32, EBCDIC and others): some would show other words. Send it in UTF-8.
        UnclearCharset = "unclear-charset",
    }
}
