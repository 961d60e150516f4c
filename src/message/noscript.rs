//! The element `noscript`. Mail programs run no scripts, so that its content is HTML like the rest; programs that cut HTML
//! into tags take it for one text.

use std::borrow::Cow;

/// HTML as it stands and, when it has the element, once more with another name for it, so that its content is read too.
/// Every octet stays in its place. In the first reading the content is nothing, and may end elsewhere.
pub(super) fn readings(html: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    [Some(Cow::Borrowed(html)), renamed(html).map(Cow::Owned)].into_iter().flatten()
}

fn renamed(html: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"noscript";
    let mut read = None;
    for at in memchr::memchr2_iter(b'n', b'N', html) {
        let is_tag = at.checked_sub(1).and_then(|before| html.get(before)).is_some_and(|before| b"</".contains(before));
        if is_tag && html.get(at..at + NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            let copy = read.get_or_insert_with(|| html.to_vec());
            copy.get_mut(at).into_iter().for_each(|first| *first = b'x');
        }
    }
    read
}
