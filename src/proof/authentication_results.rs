//! `Authentication-Results` (RFC 8601) of our own server as a proof.
//!
//! Anybody can write such a field into a message. What makes one ours is that our own border filter removes those that
//! claim our authserv-id on arrival and then adds its own (RFC 8601 section 5); a charter that names this proof
//! states that it does. This file adds what can be checked here, and gives nothing for proven when in doubt:
//!
//! * Fields of any other authserv-id, or of an unknown version, are ignored.
//! * Our filter works on this hop, so its fields stand above the first `Received` (the MTA does not show its own to
//!   milters). A field that claims to be ours below it came with the message: somebody forges, nothing counts.
//! * Each method is reported by one filter in one field. The same method in two fields that claim to be ours
//!   contradicts that: one of them came with the message, nothing counts.
//! * A field of ours that cannot be read to its end makes nothing count.

use std::collections::HashSet;

use crate::closed_list::closed_list;

/// A domain that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// By which method.
    pub method: Method,
    /// Which domain, lower case.
    pub domain: String,
}

/// The methods that can prove a domain. All others are ignored, `dmarc` included: it says nothing these two do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A signature: `header.d`, or the domain of `header.i`.
    Dkim,
    /// The client may send for the envelope sender: `smtp.mailfrom`.
    Spf,
}

closed_list! {
    /// Why fields that claim to be ours are not believed.
    Distrust {
        /// One of them stands below a Received field.
        BelowReceived = "below-received",
        /// Two of them report the same method.
        ReportedTwice = "reported-twice",
        /// One of them cannot be read.
        Unreadable = "unreadable",
    }
}

/// The domains that our own server `authserv_id` found good, from the header's fields (name, value) in their order.
///
/// # Errors
/// [`Distrust`]: the fields may not be ours.
pub fn passed<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    authserv_id: &str,
) -> Result<Vec<Passed>, Distrust> {
    let mut found = Vec::new();
    let mut reported = HashSet::new();
    let mut received = false;
    for (name, value) in fields {
        let name = name.trim_ascii();
        received |= name.eq_ignore_ascii_case(b"received");
        if !name.eq_ignore_ascii_case(b"authentication-results") {
            continue;
        }
        let text = String::from_utf8_lossy(value);
        let mut reader = Reader { rest: &text };
        if !reader.is_of(authserv_id)? {
            continue;
        }
        if received {
            return Err(Distrust::BelowReceived);
        }
        let mut here = HashSet::new();
        while let Some(result) = reader.result()? {
            found.extend(result.proves()?);
            here.insert(result.method);
        }
        if !reported.is_disjoint(&here) {
            return Err(Distrust::ReportedTwice);
        }
        reported.extend(here);
    }
    Ok(found)
}

/// One `resinfo`.
struct Outcome {
    /// Lower case, without version.
    method: String,
    passed: bool,
    /// `ptype.property` in lower case, and value.
    properties: Vec<(String, String)>,
}

impl Outcome {
    fn proves(&self) -> Result<Option<Passed>, Distrust> {
        let (method, domain) = match self.method.as_str() {
            _ if !self.passed => return Ok(None),
            "dkim" => (Method::Dkim, self.property("header.d")?.or(self.property("header.i")?)),
            "spf" => (Method::Spf, self.property("smtp.mailfrom")?),
            _ => return Ok(None),
        };
        let domain = domain.map(|value| value.rsplit_once('@').map_or(value, |(_, domain)| domain));
        let domain = domain.map(|domain| domain.trim_end_matches('.').to_ascii_lowercase());
        Ok(domain.filter(|domain| !domain.is_empty()).map(|domain| Passed { method, domain }))
    }

    /// A property that is given twice is not believed in either form.
    fn property(&self, name: &str) -> Result<Option<&str>, Distrust> {
        let mut values =
            self.properties.iter().filter(|(property, _)| property == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Distrust::Unreadable),
        }
    }
}

/// Reads a field's value from left to right (RFC 8601 section 2.2).
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Whether the field is of version 1 and of this authserv-id. Whatever cannot be read up to there is not ours; an id
    /// behind a comment or in quotation marks, which our server has no reason to write, is there to get past who removes ours.
    fn is_of(&mut self, authserv_id: &str) -> Result<bool, Distrust> {
        let authserv_id = authserv_id.trim_end_matches('.');
        let start = self.rest.trim_ascii_start();
        let Ok(Some(id)) = self.word(Until::Separator) else { return Ok(false) };
        if !id.eq_ignore_ascii_case(authserv_id) {
            return Ok(false);
        }
        if !start.get(..authserv_id.len()).is_some_and(|start| start.eq_ignore_ascii_case(authserv_id)) {
            return Err(Distrust::Unreadable);
        }
        self.skip_blanks()?;
        if self.rest.starts_with([';', '=']) || self.rest.is_empty() {
            return Ok(!self.rest.starts_with('='));
        }
        Ok(self.word(Until::Separator)?.as_deref() == Some("1"))
    }

    /// The next `resinfo`; `None` at the end, and for the lone word `none`.
    fn result(&mut self) -> Result<Option<Outcome>, Distrust> {
        self.skip_blanks()?;
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.expect(';')?;
        let Some(method) = self.word(Until::Separator)? else {
            // A final semicolon says nothing more.
            return if self.rest.is_empty() { Ok(None) } else { Err(Distrust::Unreadable) };
        };
        self.skip_blanks()?;
        if method.eq_ignore_ascii_case("none") && self.rest.is_empty() {
            return Ok(None);
        }
        self.expect('=')?;
        let result = self.word(Until::Separator)?.ok_or(Distrust::Unreadable)?;
        let method = method.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let mut outcome = Outcome { method, passed: result.eq_ignore_ascii_case("pass"), properties: Vec::new() };
        loop {
            self.skip_blanks()?;
            if self.rest.is_empty() || self.rest.starts_with(';') {
                return Ok(Some(outcome));
            }
            let name = self.word(Until::Separator)?.ok_or(Distrust::Unreadable)?;
            self.skip_blanks()?;
            self.expect('=')?;
            let value = self.word(Until::Blank)?.ok_or(Distrust::Unreadable)?;
            outcome.properties.push((name.to_ascii_lowercase(), value));
        }
    }

    fn expect(&mut self, separator: char) -> Result<(), Distrust> {
        self.rest = self.rest.strip_prefix(separator).ok_or(Distrust::Unreadable)?;
        Ok(())
    }

    /// White space and comments.
    fn skip_blanks(&mut self) -> Result<(), Distrust> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            if !self.rest.starts_with('(') {
                return Ok(());
            }
            let end = comment_end(self.rest).ok_or(Distrust::Unreadable)?;
            self.rest = self.rest.get(end..).unwrap_or_default();
        }
    }

    /// The next word, unquoted; parts in quotation marks and parts without may stand together (`"a b"@c.example`).
    fn word(&mut self, until: Until) -> Result<Option<String>, Distrust> {
        self.skip_blanks()?;
        let mut word = String::new();
        let mut quoted = false;
        let mut escaped = false;
        let mut length = 0;
        for c in self.rest.chars() {
            let ends = match c {
                ';' | '(' => true,
                '=' => until == Until::Separator,
                c => c.is_ascii_whitespace(),
            };
            match c {
                _ if escaped => {
                    word.push(c);
                    escaped = false;
                }
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if ends && !quoted => break,
                _ => word.push(c),
            }
            length += c.len_utf8();
        }
        if quoted {
            return Err(Distrust::Unreadable);
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok((length > 0).then_some(word))
    }
}

/// Where a word ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At a blank, `;` or `=`.
    Separator,
    /// At a blank or `;`: values have `=` in them more often than the grammar allows (`smtp.mailfrom=SRS0=…`).
    Blank,
}

/// Where the comment at the beginning of `text` ends; comments nest.
fn comment_end(text: &str) -> Option<usize> {
    let mut depth = 0u32;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AR: &str = "Authentication-Results";
    const OURS: &str = "mx.cnrs.example";

    fn read(fields: &[(&str, &str)]) -> Result<Vec<(Method, String)>, Distrust> {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Ok(passed(fields, OURS)?.into_iter().map(|p| (p.method, p.domain)).collect())
    }

    fn dkim(domain: &str) -> (Method, String) {
        (Method::Dkim, domain.into())
    }

    fn spf(domain: &str) -> (Method, String) {
        (Method::Spf, domain.into())
    }

    #[test]
    fn what_filters_write_is_read() {
        let cases = [
            (" mx.cnrs.example; dkim=pass header.d=a.example", vec![dkim("a.example")]),
            // OpenDKIM
            (
                "mx.cnrs.example;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=A.example. header.i=@a.example \
                 header.a=rsa-sha256 header.s=s1 header.b=\"ab/cd=\";\r\n\tdkim-atps=neutral",
                vec![dkim("a.example")],
            ),
            // rspamd
            (
                "mx.cnrs.example;\n\tdkim=pass header.d=a.example header.s=s1 header.b=ab/+c=;\n\tspf=pass \
                 (mx.cnrs.example: domain of \"b c\"@b.example designates 192.0.2.1 as permitted sender) \
                 smtp.mailfrom=\"b c\"@b.example;\n\tdmarc=pass (policy=none) header.from=a.example",
                vec![dkim("a.example"), spf("b.example")],
            ),
            ("MX.CNRS.example 1; spf=pass smtp.mailfrom=SRS0=x=y=c.example=u@d.example", vec![spf("d.example")]),
            ("mx.cnrs.example; spf=pass smtp.mailfrom=d.example smtp.helo=h.example", vec![spf("d.example")]),
            ("mx.cnrs.example; dkim/1 = pass reason=\"good; really\" header.i = u@a.example", vec![dkim("a.example")]),
            ("mx.cnrs.example; dkim=fail header.d=a.example; dkim=pass header.d=b.example", vec![dkim("b.example")]),
            ("mx.cnrs.example (really (truly \\) )) ; dkim=pass (x) header.d=a.example;", vec![dkim("a.example")]),
            ("mx.cnrs.example; none", vec![]),
            ("mx.cnrs.example", vec![]),
            (
                "mx.cnrs.example; dkim=none; dkim=temperror header.d=a.example; spf=softfail smtp.mailfrom=a.example",
                vec![],
            ),
            ("mx.cnrs.example; dmarc=pass header.from=a.example; auth=pass smtp.auth=u@a.example", vec![]),
            ("mx.cnrs.example; spf=pass smtp.helo=a.example", vec![]),
            // Words inside quotation marks and comments are not results.
            ("mx.cnrs.example; spf=fail smtp.mailfrom=\"x; dkim=pass header.d=a.example\"@b.example", vec![]),
            ("mx.cnrs.example; spf=fail (x; dkim=pass header.d=a.example) smtp.mailfrom=b.example", vec![]),
        ];
        for (value, expected) in cases {
            assert_eq!(read(&[(AR, value)]), Ok(expected), "{value}");
        }
    }

    #[test]
    fn fields_of_others_are_ignored() {
        for value in [
            "mx.other.example; dkim=pass header.d=a.example",
            "mx.cnrs.example.evil.example; dkim=pass header.d=a.example",
            "mx.cnrs.example 2; dkim=pass header.d=a.example",
            "dkim=pass header.d=a.example",
            "mx.cnrs.example=pass header.d=a.example",
            "",
            "\"mx.cnrs.example",
            "(mx.cnrs.example; dkim=pass header.d=a.example",
        ] {
            assert_eq!(read(&[(AR, value), ("Received", "x"), (AR, value)]), Ok(vec![]), "{value}");
        }
        assert_eq!(read(&[("X-Authentication-Results", "mx.cnrs.example; dkim=pass header.d=a.example")]), Ok(vec![]));
    }

    #[test]
    fn an_id_in_disguise_makes_nothing_count() {
        for id in ["(we are) mx.cnrs.example", "\"mx.cnrs\".example", "mx.\"cnrs\".example", "\"mx.cnrs.example\""] {
            let value = format!("{id}; dkim=pass header.d=a.example");
            assert_eq!(read(&[(AR, &value)]), Err(Distrust::Unreadable), "{value}");
        }
    }

    #[test]
    fn a_hundred_thousand_results_take_linear_time() {
        let methods = |name: &str| (0..50_000).map(|n| format!("; {name}{n}=pass")).collect::<Vec<_>>().concat();
        let (first, second) = (format!("{OURS}{}", methods("a")), format!("{OURS}{}", methods("b")));
        assert_eq!(read(&[(AR, &first), (AR, &second)]), Ok(vec![]));
    }

    #[test]
    fn fields_that_came_with_the_message_make_nothing_count() {
        let good = (AR, "mx.cnrs.example; dkim=pass header.d=a.example");
        let received = ("Received", "from client by mx");
        assert_eq!(read(&[good, received]), Ok(vec![dkim("a.example")]));
        assert_eq!(read(&[received, good]), Err(Distrust::BelowReceived));
        assert_eq!(
            read(&[good, ("received ", "x"), ("AUTHENTICATION-RESULTS ", good.1)]),
            Err(Distrust::BelowReceived)
        );
        // The client wrote one itself, and our filter did not remove it before it added its own.
        assert_eq!(read(&[(AR, "mx.cnrs.example; dkim=none"), good]), Err(Distrust::ReportedTwice));
        // Several filters of ours, a method each.
        let other = (AR, "mx.cnrs.example; spf=pass smtp.mailfrom=b.example");
        assert_eq!(read(&[good, ("X-Filter", "y"), other, received]), Ok(vec![dkim("a.example"), spf("b.example")]));
    }

    #[test]
    fn fields_that_cannot_be_read_make_nothing_count() {
        for value in [
            "mx.cnrs.example; dkim=pass header.d=a.example (",
            "mx.cnrs.example; dkim=pass header.d=\"a.example",
            "mx.cnrs.example; dkim",
            "mx.cnrs.example; dkim=",
            "mx.cnrs.example; dkim=pass header.d",
            "mx.cnrs.example; dkim=pass header.d=a.example header.d=b.example",
            "mx.cnrs.example; dkim=pass header.d=a.example; ; spf=pass",
            "mx.cnrs.example 1 dkim=pass header.d=a.example",
        ] {
            assert_eq!(read(&[(AR, value)]), Err(Distrust::Unreadable), "{value}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_without_harm(value in "[ ;=()\"\\\\a.@1\u{e9}\r\n]{0,40}") {
            let _ = read(&[(AR, &format!("mx.cnrs.example;{value}"))]);
            let _ = read(&[(AR, &value)]);
        }

        #[test]
        fn words_in_quotation_marks_never_become_results(text in "[ ;=()a.@]{0,20}") {
            let value = format!("mx.cnrs.example; spf=fail smtp.mailfrom=\"{text}; dkim=pass header.d=a.example\"");
            prop_assert_eq!(read(&[(AR, &value)]), Ok(vec![]));
        }
    }
}
