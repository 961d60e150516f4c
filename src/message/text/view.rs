//! The form in which texts are compared. A [`View`] is one string of folded words, one blank around each word and one line
//! feed after each sentence, with the place in the message of each word.

use crate::message::mime::PartId;

/// Stands in a view where the text shows a link, or where the text of a link ends. No text folds to it.
pub const LINK_WORD: &str = "§lien";
/// Stands in a view where the text shows a mail address.
pub const ADDRESS_WORD: &str = "§adresse";

/// So many signs before a word are kept: they may stand for its first letters.
pub(super) const SIGNS_KEPT: usize = 2;

/// Where something stands: characters `[start, end)` of the decoded text of a part, or of the decoded subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Place {
    /// The part; `None` for the subject.
    pub part: Option<PartId>,
    /// First character.
    pub start: u32,
    /// First character after it.
    pub end: u32,
}

/// One word of a view.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Byte offset in the view's text.
    pub at: u32,
    /// Bytes.
    pub len: u32,
    /// Where it stands in the message.
    pub place: Place,
    /// No white space stands between the word before and this one.
    pub joined: bool,
    /// The last signs right before it, NUL where there are fewer.
    pub before: [char; SIGNS_KEPT],
    /// It stands between quotation marks.
    pub quoted: bool,
}

/// One sentence of a view. Its words are `words[first..last]`.
#[derive(Debug, Clone, Copy)]
pub struct Sentence {
    /// Index of the first word.
    pub first: u32,
    /// Index after the last word.
    pub last: u32,
}

/// A text as words and sentences.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Folded words, a blank before each; sentences end with a blank and a line feed.
    pub text: String,
    /// The words in order.
    pub words: Vec<Word>,
    /// The sentences in order, none empty.
    pub sentences: Vec<Sentence>,
}

impl Word {
    /// The last signs right before it.
    pub fn signs(&self) -> impl Iterator<Item = char> {
        self.before.into_iter().filter(|c| *c != '\0')
    }
}

impl View {
    /// A word's text.
    #[must_use]
    pub fn word(&self, word: &Word) -> &str {
        let start = word.at as usize;
        self.text.get(start..start + word.len as usize).unwrap_or_default()
    }

    /// The words of a sentence.
    #[must_use]
    pub fn words_of(&self, sentence: Sentence) -> &[Word] {
        self.words.get(sentence.first as usize..sentence.last as usize).unwrap_or_default()
    }

    /// The text of a sentence: its words, with one blank before each and one at the end.
    #[must_use]
    pub fn text_of(&self, sentence: Sentence) -> &str {
        let words = self.words_of(sentence);
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return "" };
        self.text
            .get((first.at as usize).saturating_sub(1)..last.at as usize + last.len as usize + 1)
            .unwrap_or_default()
    }

    /// The sentence that has this word.
    #[must_use]
    pub fn sentence_of(&self, word: u32) -> usize {
        self.sentences.partition_point(|sentence| sentence.last <= word)
    }
}
