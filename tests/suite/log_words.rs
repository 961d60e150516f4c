//! JSON lets one thing be written in many ways, and readers in different languages differ on some of them. A line of the log
//! means one thing to every verifier, or is none: two verifiers judge lines in words that this program never writes.

use std::collections::BTreeMap;

use charter_milter::decision_log::line::{Draft, LINE_BYTES_MAX};
use charter_milter::decision_log::record::{DecisionRecord, Event, JudgementRecord, PurgeRecord, RuleOutcomeRecord};
use jiff::civil::date;

use crate::log_attacks::Forger;
use crate::log_verifier::{agree, bytes_of};

/// An honest log, and lines that might come next.
struct Words {
    honest: Forger,
    decision: String,
    purge: String,
    lines: Vec<Vec<u8>>,
}

impl Words {
    fn new() -> Self {
        let honest = Forger::honest();
        let line = |event: &Event| Draft::new(honest.now, event).unwrap().line(honest.lines.len() as u64);
        let evidence = BTreeMap::from([("bytes".to_owned(), 77_u64.into())]);
        let rule = RuleOutcomeRecord { rule: "size".into(), evidence, ..RuleOutcomeRecord::default() };
        let hold_until = Some(honest.now);
        let judgements = vec![JudgementRecord { rules: vec![rule], hold_until, ..JudgementRecord::default() }];
        let decision = DecisionRecord { reference: "R".into(), judgements, recipients: 5, ..DecisionRecord::default() };
        let purge = PurgeRecord { before: date(2025, 1, 2), ..PurgeRecord::default() };
        let (decision, purge) = (line(&decision.into()), line(&purge.into()));
        let lines = vec![decision.clone().into_bytes(), purge.clone().into_bytes()];
        Self { honest, decision, purge, lines }
    }

    /// The decision with each of `news`, after `before`, in the place of `old`.
    fn instead<T: AsRef<str>>(&mut self, before: &str, old: &str, news: impl IntoIterator<Item = T>) {
        Self::other(&mut self.lines, &self.decision, before, old, news);
    }

    fn other<T: AsRef<str>>(
        lines: &mut Vec<Vec<u8>>,
        of: &str,
        before: &str,
        old: &str,
        news: impl IntoIterator<Item = T>,
    ) {
        let old = format!("{before}{old}");
        assert!(of.contains(&old), "{old} in {of}");
        lines.extend(
            news.into_iter().map(|new| of.replacen(&old, &format!("{before}{}", new.as_ref()), 1).into_bytes()),
        );
    }

    /// Each line as the last of a log: not signed yet, so that nothing but its form can tell.
    fn judge(self) {
        let before = bytes_of(&self.honest.lines);
        let logs: Vec<_> = self.lines.iter().map(|line| [&before, line.as_slice(), b"\n"].concat()).collect();
        agree(&self.honest, None, &logs);
    }
}

#[test]
fn they_agree_on_whole_numbers() {
    let mut words = Words::new();
    words.instead(
        "\"recipients\":",
        "5",
        ["5.0", "5e0", "-0", "-5", "05", "+5", "0x5", "5_0", "true", "\"5\"", "null", "[5]"],
    );
    words.instead("\"recipients\":", "5", ["4294967295", "4294967296", "18446744073709551615", "18446744073709551616"]);
    let index = words.honest.lines.len();
    let others = ["{}.0", "\"{}\"", "0{}", "{}e0", "-0", "{}0", "{},\"i\":{}"];
    words.instead("\"i\":", &index.to_string(), others.map(|other| other.replace("{}", &index.to_string())));
    words.instead("\"v\":", "1", ["1.0", "true", "\"1\"", "2", "1,\"v\":1", "01"]);
    words.instead("", "\"v\":", ["\"\\u0076\":", "\"V\":"]);
    words.judge();
}

#[test]
fn they_agree_on_numbers_by_name() {
    let mut words = Words::new();
    let digits = "9".repeat(400);
    words.instead(
        "\"bytes\":",
        "77",
        ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "1e-400", digits.as_str()],
    );
    words.instead(
        "\"bytes\":",
        "77",
        ["1180591620717411303424", "-0", "-0.0", "077", "7.", ".7", "7.5", "7e", "7E+1", "--7"],
    );
    words.instead("\"bytes\":", "77", ["null", "true", "\"7\"", "[]", "{}"]);
    words.instead(
        "\"bytes\":",
        "77",
        ["77,\"bytes\":77", "77,\"\\u0062ytes\":77", "77,\"\\ud800\":1", "77,\"a\":1", "77,"],
    );
    words.judge();
}

#[test]
fn they_agree_on_texts() {
    let mut words = Words::new();
    let deep = ["[".repeat(100) + &"]".repeat(100), "[".repeat(100_000)];
    words.instead("\"reference\":", "\"R\"", deep);
    let characters = [
        "\\u0052",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ude00",
        "\\ude00\\ud83d",
        "\\u0000",
        "\u{1}",
        "\u{7f}",
        "\t",
        "\\x52",
        "\\u00e",
    ];
    words.instead("\"reference\":", "\"R\"", characters.map(|text| format!("\"{text}\"")));
    words.instead("\"reference\":", "\"R\"", ["\"é\"", "'R'", "R", "7", "null", "\"R\",", "\"R\"/**/", "\"R\"\"R\""]);
    let twice = ["\"R\",\"reference\":\"R\"", "\"R\",\"r\\u0065ference\":\"R\"", "\"R\",\"content\":\"x\""];
    words.instead("\"reference\":", "\"R\"", twice);
    for octets in [b"\xff".as_slice(), b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let (before, after) = words.decision.split_once("\"R\"").unwrap();
        words.lines.push([before.as_bytes(), b"\"", octets, b"\"", after.as_bytes()].concat());
    }
    words.judge();
}

#[test]
fn they_agree_on_times_and_days() {
    let mut words = Words::new();
    let now = words.honest.now.to_string();
    let day = now.split_once('T').unwrap().0.to_owned();
    let zones = ["+00:00", ".0Z", ".5Z", ".50Z", ".123456789Z", ".1234567891Z", "z", "", "Z[UTC]", "Z\\n", "-00:00"];
    let mut times: Vec<_> = zones.iter().map(|zone| now.replace('Z', zone)).collect();
    times
        .extend(["T23:59:60Z", "T24:00:00Z", "t12:00:00Z", " 12:00:00Z", "T12:00Z"].map(|time| format!("{day}{time}")));
    times.extend(["1969", "0000", "12026", "9998", "9999", "-2026"].map(|year| now.replace("2026", year)));
    times.extend(["\\u0032", "٢"].map(|two| now.replacen('2', two, 1)));
    let written = format!("\"{now}\"");
    let times = times.iter().map(|time| format!("\"{time}\""));
    words.instead("\"at\":", &written, times.clone());
    words.instead("\"hold_until\":", &written, times);
    let days =
        ["2025-02-29", "20250102", "2025-1-2", "2025-01-02T00:00:00", "2025-01-02\\n", "2025-W01-4", "0001-01-01"];
    Words::other(&mut words.lines, &words.purge, "\"before\":\"", "2025-01-02", days);
    words.judge();
}

#[test]
fn they_agree_on_what_stands_around() {
    let mut words = Words::new();
    for around in ["{} ", " {}", "\t{}\r", "{}\u{a0}", "\u{feff}{}", "{},", "[{}]", "{}{}", "{}//", "{}\0", "\u{b}{}"] {
        words.lines.push(around.replace("{}", &words.decision).into_bytes());
    }
    words.instead(
        "",
        "\"kind\":\"decision\"",
        ["\"kind\":\"d\\u0065cision\"", "\"kind\":\"judgement\"", "\"kind\":\"Decision\""],
    );
    words.instead(
        "",
        "\"body\":",
        ["\"leaf\":\"\",\"body\":", "\"leaf\":null,\"body\":", "\"b\\u006fdy\":", "\"x\":1,\"body\":"],
    );
    let salt = words.decision.split("\"salt\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let (head, tail) = (salt.get(..20).unwrap(), salt.get(1..).unwrap());
    let salts =
        [format!("{head}AB"), format!("{salt}=="), format!("{head}+/"), format!("\\u0041{tail}"), String::new()];
    words.instead("\"salt\":\"", &salt, salts);
    for octets in [LINE_BYTES_MAX, LINE_BYTES_MAX + 1] {
        let padding = "R".repeat(octets - words.decision.len() + 1);
        words.instead("\"reference\":", "\"R\"", [format!("\"{padding}\"")]);
    }
    words.judge();
}
