//! Holds the body of a record against the table of fields, in one pass over its text and without keeping anything of it.
//!
//! A verifier reads millions of records and looks into few of them; of every other it must still know that it holds the
//! fields of its kind, each of them once and of its own type, and nothing else. [`FIELDS`] says what that is, so the closed list
//! that is documented is the one that is enforced.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::fields::{FIELDS, Holds};
use super::line::AnyText;
use super::record::Kind;
use super::when::{day, time};

/// Checks that `body` is an object with the fields of `kind` and no other, and nothing after it.
///
/// # Errors
///
/// When it is anything else.
pub fn check(kind: Kind, body: &str) -> Result<(), serde_json::Error> {
    let shapes = &*SHAPES;
    let value = &Value::Structure(shapes.kinds.get(kind as usize).copied().unwrap_or(usize::MAX));
    let expected = Expected { shapes, value };
    // Written in any other way, or not what it should be: a reader of JSON decides, and says what is wrong.
    if expected.is_as_written(body) { Ok(()) } else { expected.read(body) }
}

/// The table of fields, with names resolved.
struct Shapes {
    /// The structure of each kind of record, by the number of the kind.
    kinds: Vec<usize>,
    structures: Vec<Structure>,
}

/// One kind of record, or a structure inside a record.
struct Structure {
    name: &'static str,
    slots: Vec<Slot>,
    /// The slots that must be filled, a bit each.
    required: u64,
}

/// The place of one field.
struct Slot {
    name: &'static str,
    /// What [`super::line::Draft`] writes before the value: the name in quotation marks, and a colon.
    written: String,
    value: Value,
}

/// [`Holds`], with the number of a structure instead of its name.
enum Value {
    Text,
    Integer(u64),
    Flag,
    Time,
    Day,
    Numbers,
    Structure(usize),
    List(Box<Self>),
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    let mut structures: Vec<Structure> = Vec::new();
    for field in FIELDS {
        if structures.iter().all(|structure| structure.name != field.of) {
            structures.push(Structure { name: field.of, slots: Vec::new(), required: 0 });
        }
    }
    let names: Vec<_> = structures.iter().map(|structure| structure.name).collect();
    for field in FIELDS {
        let Some(structure) = structures.iter_mut().find(|structure| structure.name == field.of) else { continue };
        if !field.optional {
            structure.required |= 1 << structure.slots.len();
        }
        let (name, written) = (field.name, format!("\"{}\":", field.name));
        structure.slots.push(Slot { name, written, value: resolved(field.holds, &names) });
    }
    let kinds = Kind::ALL.iter().map(|kind| place(kind.as_str(), &names)).collect();
    Shapes { kinds, structures }
});

fn resolved(holds: Holds, names: &[&str]) -> Value {
    match holds {
        Holds::Text => Value::Text,
        Holds::Integer => Value::Integer(u64::MAX),
        Holds::SmallInteger => Value::Integer(u32::MAX.into()),
        Holds::Flag => Value::Flag,
        Holds::Time => Value::Time,
        Holds::Day => Value::Day,
        Holds::Numbers => Value::Numbers,
        Holds::Structure(name) => Value::Structure(place(name, names)),
        Holds::List(of) => Value::List(Box::new(resolved(*of, names))),
    }
}

/// Where a structure stands; one that is not in the table (which a test excludes) is nowhere, and nothing is one.
fn place(name: &str, names: &[&str]) -> usize {
    names.iter().position(|known| *known == name).unwrap_or(usize::MAX)
}

/// What the next value must be.
#[derive(Clone, Copy)]
struct Expected<'s> {
    shapes: &'s Shapes,
    value: &'s Value,
}

/// Most lines are written by this program, and all of them in one way: fields in the order of the table, nothing between
/// them, no escapes. Such a text is checked octet by octet, several times as fast as a reader of JSON does it. Each function
/// gives what stands behind the value, or `None` when the value is written in any other way, which does not make it wrong.
impl Expected<'_> {
    fn is_as_written(self, text: &str) -> bool {
        self.as_written(text.as_bytes()).is_some_and(<[u8]>::is_empty)
    }

    fn as_written(self, text: &[u8]) -> Option<&[u8]> {
        match self.value {
            Value::Text => string(text).map(|(_, rest)| rest),
            Value::Time => {
                string(text).and_then(|(inner, rest)| time(std::str::from_utf8(inner).ok()?).and(Some(rest)))
            }
            Value::Day => string(text).and_then(|(inner, rest)| day(std::str::from_utf8(inner).ok()?).and(Some(rest))),
            Value::Flag => text.strip_prefix(b"true").or_else(|| text.strip_prefix(b"false")),
            Value::Integer(max) => integer(text).and_then(|(number, rest)| (number <= *max).then_some(rest)),
            Value::Numbers => numbers_as_written(text),
            Value::List(value) => self.list_as_written(value, text),
            Value::Structure(place) => self.structure_as_written(self.shapes.structures.get(*place)?, text),
        }
    }

    fn list_as_written<'b>(self, value: &Value, text: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = text.strip_prefix(b"[")?;
        if let Some(end) = rest.strip_prefix(b"]") {
            return Some(end);
        }
        loop {
            rest = Expected { value, ..self }.as_written(rest)?;
            match rest.split_first()? {
                (b',', next) => rest = next,
                (b']', end) => return Some(end),
                _ => return None,
            }
        }
    }

    fn structure_as_written<'b>(self, structure: &Structure, text: &'b [u8]) -> Option<&'b [u8]> {
        let mut rest = text.strip_prefix(b"{")?;
        let mut filled = 0_u64;
        for (slot, Slot { written, value, .. }) in structure.slots.iter().enumerate() {
            let next = if filled == 0 { Some(rest) } else { rest.strip_prefix(b",") };
            if let Some(there) = next.and_then(|next| next.strip_prefix(written.as_bytes())) {
                rest = Expected { value, ..self }.as_written(there)?;
                filled |= 1 << slot;
            }
        }
        if structure.required & !filled == 0 { rest.strip_prefix(b"}") } else { None }
    }
}

/// The inside of a string without escapes, and what stands behind it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|&octet| octet == b'"' || octet == b'\\' || octet < b' ')?;
    let (inner, rest) = text.split_at_checked(end)?;
    Some((inner, rest.strip_prefix(b"\"")?))
}

/// A number of at most 18 digits without sign, fraction and exponent, and what stands behind it. What may stand there is for
/// the caller: only a comma or the end of a list or structure.
fn integer(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    if !(1..=18).contains(&digits) || (digits > 1 && number.starts_with(b"0")) {
        return None;
    }
    Some((number.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), rest))
}

/// Whole numbers by name, in the order of the names.
fn numbers_as_written(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"{")?;
    let mut before: Option<&[u8]> = None;
    loop {
        let (name, number) = string(rest)?;
        if before.is_some_and(|before| before >= name) {
            return None;
        }
        before = Some(name);
        match integer(number.strip_prefix(b":")?)?.1.split_first()? {
            (b',', next) => rest = next,
            (b'}', end) => return Some(end),
            _ => return None,
        }
    }
}

impl Expected<'_> {
    fn read(self, text: &str) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        self.deserialize(&mut deserializer)?;
        deserializer.end()
    }

    fn all<'de, A: MapAccess<'de>>(self, structure: &Structure, mut map: A) -> Result<(), A::Error> {
        let mut filled = 0_u64;
        let mut next = 0;
        while let Some(slot) = map.next_key_seed(Name { structure, next })? {
            let Some(Slot { value, .. }) = structure.slots.get(slot) else { return Err(A::Error::custom("field")) };
            if filled & (1 << slot) != 0 {
                return Err(A::Error::custom("a field occurs twice"));
            }
            filled |= 1 << slot;
            map.next_value_seed(Expected { value, ..self })?;
            next = slot + 1;
        }
        if structure.required & !filled != 0 {
            return Err(A::Error::custom("a field is missing"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Expected<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Expected<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the table of fields says")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let fits = match self.value {
            Value::Text => true,
            Value::Time => time(text).is_some(),
            Value::Day => day(text).is_some(),
            _ => false,
        };
        if fits { Ok(()) } else { Err(E::custom("another type")) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match self.value {
            Value::Integer(max) if number <= *max => Ok(()),
            _ => Err(E::custom("another type")),
        }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        if matches!(self.value, Value::Flag) { Ok(()) } else { Err(E::custom("another type")) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Value::List(value) = self.value else { return Err(A::Error::custom("another type")) };
        while list.next_element_seed(Expected { value, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.value {
            Value::Numbers => numbers(map),
            Value::Structure(place) => match self.shapes.structures.get(*place) {
                Some(structure) => self.all(structure, map),
                None => Err(A::Error::custom("another type")),
            },
            _ => Err(A::Error::custom("another type")),
        }
    }
}

/// Numbers under any names, each name once.
fn numbers<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    let mut names: Vec<Cow<'de, str>> = Vec::new();
    while let Some((AnyText(name), _)) = map.next_entry::<AnyText<'de>, serde_json::Number>()? {
        names.push(name);
    }
    names.sort_unstable();
    if names.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(A::Error::custom("a field occurs twice")) }
}

/// The name of a field of a structure; gives the number of its slot.
struct Name<'s> {
    structure: &'s Structure,
    /// The slot that the program that wrote the record filled next, if it was not left out.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let slots = &self.structure.slots;
        let ahead = slots.iter().skip(self.next).position(|slot| slot.name == name).map(|ahead| self.next + ahead);
        ahead
            .or_else(|| slots.iter().position(|slot| slot.name == name))
            .ok_or_else(|| E::custom("a field that the table does not have"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::decision_log::fields::tests::full;
    use crate::decision_log::record::Event;

    /// Every way to put something else in one place of `value`.
    fn changed(value: &Json) -> Vec<Json> {
        let mut all: Vec<Json> = vec![
            json!("x"),
            json!("1970-01-01"),
            json!("1970-01-01T00:00:00Z"),
            json!(7),
            json!(-7),
            json!(0.5),
            json!(1_u64 << 32),
            json!(true),
            json!([]),
            json!(["x"]),
            json!([1]),
            json!({}),
            json!({"x": 1}),
            json!({"x": "y"}),
        ];
        match value {
            Json::Object(object) => {
                for (name, inner) in object {
                    let mut less = object.clone();
                    less.remove(name);
                    all.push(Json::Object(less));
                    for other in changed(inner) {
                        let mut object = object.clone();
                        object.insert(name.clone(), other);
                        all.push(Json::Object(object));
                    }
                }
                let mut more = object.clone();
                more.insert("content".into(), json!(1));
                all.push(Json::Object(more));
            }
            Json::Array(list) => all.extend(list.first().into_iter().flat_map(changed).map(|other| json!([other]))),
            _ => {}
        }
        all
    }

    #[test]
    fn a_body_fits_the_table_exactly_when_it_can_be_read_as_a_record() {
        let (mut fitting, mut others) = (0, 0);
        for event in full() {
            let kind = event.kind();
            let body: Json = serde_json::from_str(&event.body_json().unwrap()).unwrap();
            for body in std::iter::once(body.clone()).chain(changed(&body)) {
                let fits = check(kind, &body.to_string()).is_ok();
                let reads = Event::from_body(kind, &body.to_string()).is_ok();
                // A closed list of reasons is looked at when the record itself is.
                let reason = kind == Kind::Checkpoint && body.get("reason").is_some_and(|reason| reason != "hourly");
                assert!(fits == reads || (fits && reason), "{kind} {body}: fits {fits}, reads {reads}");
                *(if fits { &mut fitting } else { &mut others }) += 1;
            }
        }
        assert!(fitting > 300 && others > 1500, "{fitting} {others}");
    }

    #[test]
    fn what_is_as_written_is_what_a_reader_of_json_takes() {
        let shapes = &*SHAPES;
        let mut taken = 0;
        for event in full() {
            let body = event.body_json().unwrap();
            let value = &Value::Structure(shapes.kinds[event.kind() as usize]);
            let expected = Expected { shapes, value };
            assert!(expected.is_as_written(&body), "{body}");
            for at in 0..=body.len() {
                for octet in (0..0x80).map(char::from) {
                    let (before, after) = body.split_at(at);
                    let less = after.get(1..).unwrap_or_default();
                    for other in
                        [format!("{before}{octet}{after}"), format!("{before}{octet}{less}"), format!("{before}{less}")]
                    {
                        if expected.is_as_written(&other) {
                            taken += 1;
                            assert!(expected.read(&other).is_ok(), "{other}");
                        }
                    }
                }
            }
        }
        assert!(taken > 10_000, "{taken}");
    }

    #[test]
    fn a_name_that_occurs_twice_a_null_and_a_list_for_a_structure_are_refused() {
        let clock = r#"{"before":"1970-01-01T00:00:00Z","now":"1970-01-01T00:00:00Z","jump":"back"}"#;
        let says = |kind, body: &str| check(kind, body).map_err(|error| error.to_string()).unwrap_err();
        assert!(check(Kind::Clock, clock).is_ok());
        assert!(check(Kind::Clock, &format!(" {clock} ")).is_ok());
        assert!(says(Kind::Clock, &format!("{clock}{clock}")).starts_with("trailing"));
        assert!(says(Kind::Clock, &clock.replace('}', r#","jump":"back"}"#)).starts_with("a field occurs twice"));
        assert!(says(Kind::Clock, &clock.replace("jump", "leap")).starts_with("a field that the table does not have"));
        assert!(
            says(Kind::Clock, r#"["1970-01-01T00:00:00Z","1970-01-01T00:00:00Z","back"]"#).contains("another type")
        );
        assert!(check(Kind::Clock, &clock.replace("jump", r"j\u0075mp")).is_ok(), "the same name, written otherwise");
        let rule = |evidence: &str| {
            let rule = format!(r#"{{"rule":"size","outcome":"hit","evidence":{{{evidence}}}}}"#);
            let judgement = format!(
                r#"{{"charter":"c","verdict":"reject","mode":"enforce","inspection":"content","statistics":true,"rules":[{rule}]}}"#
            );
            format!(
                r#"{{"reference":"R","verdict":"reject","stage":"content","judgements":[{judgement}],"edits":[],"recipients":1,"config":"c"}}"#
            )
        };
        assert!(check(Kind::Decision, &rule(r#""bytes":1,"limit":-2.5e3"#)).is_ok());
        assert!(says(Kind::Decision, &rule(r#""bytes":1,"a":3,"b\u0079tes":2"#)).starts_with("a field occurs twice"));
        assert!(check(Kind::Decision, &rule(r#""bytes":null"#)).is_err());
        let absent = rule("").replace(r#""recipients":1"#, r#""recipients":1,"queue_id":null"#);
        assert!(check(Kind::Decision, &absent).is_err());
    }

    #[test]
    fn every_kind_and_every_structure_is_in_the_table() {
        fn known(value: &Value, count: usize) -> bool {
            match value {
                Value::Structure(place) => *place < count,
                Value::List(of) => known(of, count),
                _ => true,
            }
        }
        let shapes = &*SHAPES;
        assert!(shapes.kinds.iter().all(|place| *place < shapes.structures.len()));
        for structure in &shapes.structures {
            assert!(structure.slots.len() < 64);
            assert!(structure.slots.iter().all(|slot| known(&slot.value, shapes.structures.len())));
        }
        assert!(shapes.kinds.iter().enumerate().all(|(number, _)| Kind::ALL[number] as usize == number));
    }
}
