//! What auditors hold in their hands: the key on paper; the page of `log report`, for those who print it and for those who have it
//! read to them; and the three commands of `docs/audit.md`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use charter_milter::decision_log::record::{
    ConfigRecord, DecisionRecord, Event, JudgementRecord, QuotaUse, StopRecord,
};

use crate::home::Home;
use crate::log_attacks::Forger;
use crate::log_cli::{log, on_a_terminal, path, ran, two_weeks};

fn page(dir: &Path, more: &[&str]) -> String {
    ran(&log(dir, &[&["report", "--format", "html"], more].concat()), 0).0
}

/// What stands between each `open` and the next `close`, with the opening tag.
fn elements<'p>(page: &'p str, open: &str, close: &str) -> Vec<&'p str> {
    page.match_indices(open).map(|(at, _)| page.get(at..).unwrap().split(close).next().unwrap()).collect()
}

/// The values of an attribute.
fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    page.split(&format!(" {attribute}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// The code, in both drawings, as a decoder of others reads it; the fingerprint, as another program computes it.
#[test]
fn the_key_on_paper_is_the_key_in_letters_and_in_the_code() {
    let life = two_weeks();
    let (svg, named) = path(life.dir.path(), "key.svg");
    let (out, _) = ran(&log(life.dir.path(), &["init-auditor", "--svg", &named]), 0);
    assert!(out.contains(&format!("\n{}\n", life.first_key)), "{out}");

    let (drawn, shown) = (life.dir.path().join("drawn.png"), life.dir.path().join("shown.pgm"));
    Browser::start().run(&svg, &[format!("--screenshot={}", drawn.display())]);
    std::fs::write(&shown, as_a_terminal_shows_it(&out)).unwrap();
    for image in [&drawn, &shown] {
        assert_eq!(decoded(image), life.first_key, "{}", image.display());
    }

    let key = life.dir.path().join("key");
    std::fs::write(&key, &life.first_key).unwrap();
    let digest = Command::new("sha256sum").arg(&key).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap().split(' ').next().unwrap().to_uppercase();
    let (_, fingerprint) = out.split_once("empreinte  ").unwrap();
    assert_eq!(fingerprint.lines().next().unwrap().replace(' ', ""), digest);

    // The key is the same however often it is asked for, and it is the one that verifies.
    assert_eq!(ran(&log(life.dir.path(), &["init-auditor"]), 0).0, out);
    ran(&log(life.dir.path(), &["verify", "--key", &life.first_key]), 0);
}

/// What zbar reads in an image.
fn decoded(image: &Path) -> String {
    let mut command = Command::new("zbarimg");
    command.args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"]).arg(image);
    let output = command.output().expect("there is no zbarimg: run tests/install-packages tools");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The lines of blocks as an image (PGM): a character is a cell of a grid without gaps, twice as high as wide, and has ink in its
/// upper half, its lower half or both.
fn as_a_terminal_shows_it(text: &str) -> Vec<u8> {
    const CELL: usize = 8;
    let blocks = |line: &&str| !line.is_empty() && line.chars().all(|c| " ▀▄█".contains(c));
    let rows: Vec<Vec<u8>> = text
        .lines()
        .filter(blocks)
        .flat_map(|line| ["▀█", "▄█"].map(|ink| line.chars().map(|c| if ink.contains(c) { 0 } else { 255 }).collect()))
        .collect();
    let wide = |row: &Vec<u8>| -> Vec<u8> { row.iter().flat_map(|pixel| [*pixel; CELL]).collect() };
    let pixels: Vec<u8> = rows.iter().flat_map(|row| wide(row).repeat(CELL)).collect();
    let head = format!("P5 {} {} 255\n", rows[0].len() * CELL, rows.len() * CELL);
    [head.into_bytes(), pixels].concat()
}

/// WCAG 2.2: 1.1.1 (figures), 1.3.1 (tables, headings), 2.4.1 and 2.4.2 (main part, title), 3.1.1 (language).
#[test]
fn a_screen_reader_finds_its_way_through_the_page() {
    let life = two_weeks();
    let page = page(life.dir.path(), &["--key", &life.first_key]);
    assert!(page.contains("<html lang=\"fr\">") && page.contains("<title>Rapport sur le journal des décisions"));
    assert_eq!(page.matches("<main>").count(), 1);

    let levels = page.match_indices("<h").filter_map(|(at, _)| char::from(*page.as_bytes().get(at + 2)?).to_digit(10));
    let levels: Vec<u32> = levels.collect();
    assert_eq!(page.matches("<h1>").count(), 1);
    assert!(levels.len() > 10 && levels.windows(2).all(|two| two[1] <= two[0] + 1), "no level is skipped: {levels:?}");

    let tables = elements(&page, "<table", "</table>");
    assert!(tables.len() > 10);
    for table in tables {
        assert_eq!(table.matches("<caption").count(), 1, "a table says what it shows: {table}");
        assert!(table.contains("<thead><tr><th scope=\"col\""), "{table}");
        assert_eq!(table.matches("<th ").count(), table.matches("<th scope=\"").count(), "{table}");
        assert!(!table.contains("<th>"), "{table}");
    }
    // A figure has words of its own, its drawing is not read out, and its numbers stand in a table.
    let figures = elements(&page, "<figure", "</figure>");
    assert_eq!(figures.len(), 3);
    for figure in &figures {
        let caption = elements(figure, "<figcaption>", "<ul").pop().unwrap();
        assert!(caption.contains("Messages par "), "{caption}");
        assert_eq!(figure.matches("<svg ").count(), figure.matches("<svg aria-hidden=\"true\"").count());
    }
    assert_eq!(page.matches("<svg ").count(), figures.len());
    assert!(page.contains("Les mêmes chiffres en tableau"));

    let ids = values(&page, "id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "no id twice: {ids:?}");
    assert!(values(&page, "aria-labelledby").iter().all(|label| ids.contains(label)));
    assert_eq!(page.matches("<section ").count(), page.matches("<section aria-labelledby=").count());
}

/// On paper nobody can unfold anything.
#[test]
fn what_is_folded_on_the_screen_is_printed() {
    let life = two_weeks();
    let page = page(life.dir.path(), &[]);
    let browser = Browser::start();
    let pages = |name: &str, html: &str| {
        let (html_file, pdf) =
            (life.dir.path().join(format!("{name}.html")), life.dir.path().join(format!("{name}.pdf")));
        std::fs::write(&html_file, html).unwrap();
        browser.run(&html_file, &[format!("--print-to-pdf={}", pdf.display())]);
        let pdf = std::fs::read(pdf).unwrap();
        String::from_utf8_lossy(&pdf).matches("/Type /Page\n").count()
    };
    let folded = page.replace("details:not([open])::details-content", "nothing");
    let unfolded = page.replace("<details>", "<details open>");
    assert!(folded.len() < page.len() && unfolded.len() > page.len());
    let [printed, folded, unfolded] = [pages("page", &page), pages("folded", &folded), pages("unfolded", &unfolded)];
    assert!(folded >= 2 && printed > folded, "{printed} pages, {folded} when folded");
    assert_eq!(printed, unfolded, "all of it is printed");
}

#[test]
fn the_page_speaks_the_language_of_the_charter_and_names_the_checkpoint_it_was_computed_from() {
    let life = two_weeks();
    let work = tempfile::tempdir().unwrap();
    let home = Home::new(work.path(), &["cnrs-2026"], "");
    let charter = work.path().join("charters/cnrs-2026.toml");
    let text = std::fs::read_to_string(&charter).unwrap();
    let config = home.config().display().to_string();
    for (language, title) in [("fr", "Rapport sur le journal"), ("en", "Report on the decision log")] {
        std::fs::write(&charter, text.replace("\"fr\"", &format!("\"{language}\""))).unwrap();
        let page = page(life.dir.path(), &["--config", &config]);
        assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(&format!("<h1>{title}")));
        let kept = std::fs::read_to_string(life.dir.path().join("checkpoint")).unwrap();
        let lines: Vec<&str> = kept.lines().collect();
        let (size, time) = (lines[1], lines[3].strip_prefix("time ").unwrap());
        assert!(page.contains(&format!("<dd>{size}<")) && page.contains(&format!("datetime=\"{time}\"")), "{kept}");
    }
}

/// As the page says, in both languages: with a copy, the key on paper and a mail that was kept, on a machine without configuration.
#[test]
fn the_three_commands_for_auditors_do_what_the_page_says() {
    let life = two_weeks();
    let page = include_str!("../../docs/audit.md");
    let languages = [
        ("### Vérifier en trois commandes", "COPIE", "LA CLÉ DE LA FEUILLE", "courriel-reçu.eml", "rapport.html"),
        ("### Verifying in three commands", "COPY", "THE KEY ON PAPER", "received-mail.eml", "report.html"),
    ];
    for (title, copy, key, mail, report) in languages {
        let work = tempfile::tempdir().unwrap();
        let to = work.path().join(copy).display().to_string();
        ran(&log(life.dir.path(), &["export", &to]), 0);
        let note = std::fs::read_to_string(work.path().join(copy).join("checkpoint")).unwrap();
        let head =
            "From: passerelle@organisation.example\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n";
        std::fs::write(work.path().join(mail), format!("{head}\n{note}")).unwrap();
        let section = page.split(title).nth(1).unwrap().split("```").nth(1).unwrap();
        let commands: Vec<&str> = section.lines().filter(|line| line.starts_with("charter-milter ")).collect();
        assert_eq!(commands.len(), 3, "{title}");
        let starts = ["VERIFIED\n", "VERIFIED\n", ""];
        for (command, start) in commands.into_iter().zip(starts) {
            let command = command.replace(key, &life.first_key).replacen(
                "charter-milter",
                env!("CARGO_BIN_EXE_charter-milter"),
                1,
            );
            let output = Command::new("sh").args(["-c", &command]).current_dir(work.path()).output().unwrap();
            let (out, err) = ran(&output, 0);
            assert!(out.starts_with(start) && err.is_empty(), "{command}: {out}{err}");
            assert!(!command.contains("--checkpoint") || out.contains("Kept checkpoint agrees"), "{out}");
        }
        assert!(std::fs::read_to_string(work.path().join(report)).unwrap().contains("</html>"));
    }
}

/// A host may write what it likes into its own log: nothing of it becomes markup in an auditor's browser, a formula in a
/// spreadsheet or a command for a terminal.
#[test]
fn texts_of_the_log_stay_texts() {
    let evil = "=<script>alert(1)</script>&\"'\u{1b}]0;title\u{7}";
    let judgement = JudgementRecord {
        charter: evil.into(),
        list: Some(evil.into()),
        verdict: "reject".into(),
        reason: Some(evil.into()),
        clause: Some(evil.into()),
        sender: Some(evil.into()),
        statistics: true,
        ..JudgementRecord::default()
    };
    let mut forger = Forger::new();
    let decision = DecisionRecord { reference: evil.into(), judgements: vec![judgement], ..DecisionRecord::default() };
    forger.event(&decision.into());
    let (action, reason) = ("stop".into(), evil.into());
    let stop = StopRecord { action, target: evil.into(), reason, sender: Some(evil.into()), ..StopRecord::default() };
    forger.event(&stop.into());
    forger.checkpoint(0, 0);
    let dir = forger.dir();
    let page = page(dir.path(), &[]);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;") && !page.contains("<script"), "{page}");
    let (csv, _) = ran(&log(dir.path(), &["report", "--format", "csv"]), 0);
    assert!(csv.contains("\"'=<script>"), "{csv}");
    for command in ["show", "report"] {
        let shown = on_a_terminal(dir.path(), command);
        assert!(
            shown.contains("script") && !shown.contains('\u{7}') && !shown.contains("\u{1b}]"),
            "{command}: {shown:?}"
        );
    }
}

/// The log of these events, and the report on it as JSON and as a page for people.
fn reported(events: Vec<Event>) -> (tempfile::TempDir, serde_json::Value) {
    let mut forger = Forger::new();
    for event in events {
        forger.event(&event);
    }
    forger.checkpoint(0, 0);
    let dir = forger.dir();
    let (json, _) = ran(&log(dir.path(), &["report", "--format", "json"]), 0);
    (dir, serde_json::from_str(&json).unwrap())
}

fn judged(charter: &str, verdict: &str) -> JudgementRecord {
    JudgementRecord {
        charter: charter.into(),
        list: Some("membres@listes.example".into()),
        verdict: verdict.into(),
        mode: "enforce".into(),
        inspection: "content".into(),
        reason: (verdict == "reject").then(|| "too-large".into()),
        clause: (verdict == "reject").then(|| "nationale:3".into()),
        statistics: true,
        sender: Some("s-liste-a".into()),
        ..JudgementRecord::default()
    }
}

/// A message that one charter refuses is back with its sender, whatever the other charter said of it.
#[test]
fn what_another_charter_refuses_or_holds_is_not_counted_as_accepted() {
    let message = |outcome: &str, national: &str, local: JudgementRecord| -> Event {
        let judgements = vec![judged("nationale", national), local];
        DecisionRecord { verdict: outcome.into(), judgements, ..DecisionRecord::default() }.into()
    };
    let quota = QuotaUse { per: "week".into(), used: 2, max: 2, ..QuotaUse::default() };
    let (dir, report) = reported(vec![
        message("accept", "accept", judged("locale", "accept")),
        message("reject", "reject", JudgementRecord { quotas: vec![quota], ..judged("locale", "accept") }),
        message("reject", "reject", judged("locale", "hold")),
        message("reject", "reject", JudgementRecord { mode: "monitor".into(), ..judged("locale", "accept") }),
        message("hold", "hold", judged("locale", "accept")),
        message("tempfail", "tempfail", judged("locale", "accept")),
        message("reject", "tempfail", judged("locale", "reject")),
    ]);
    let expected = |refused: u64, by_others: u64| {
        serde_json::json!({
            "messages": 7, "accepted": 1, "held": 1, "refused": refused, "refused_by_others": by_others, "deferred": 1,
        })
    };
    for (charter, refused, by_others) in [(0, 1, 3), (1, 3, 1)] {
        let charter = &report["charters"][charter];
        let figures = expected(refused, by_others);
        assert_eq!(charter["verdicts"], figures);
        assert_eq!(charter["senders"][0]["verdicts"], figures);
        assert_eq!(charter["lists"]["membres@listes.example"], figures);
        assert_eq!(charter["days"]["2026-06-11"], figures);
        assert_eq!(charter["reasons"][0]["count"], refused);
    }
    assert_eq!(report["charters"][0]["senders"][0]["quotas"], serde_json::json!([]), "what was refused used no quota");

    let (text, _) = ran(&log(dir.path(), &["report", "--language", "fr"]), 0);
    let line =
        "Acceptés aussitôt 1, Retenus jusqu'à la nuit 1, Refusés 1, Refusés par d'autres règles 3, Différés (451) 1";
    assert_eq!(text.matches(line).count(), 2, "of the charter and of the sender: {text}");
    assert!(text.contains("une autre charte, une autre liste ou des règles générales les ont refusés"), "{text}");
    let (text, _) = ran(&log(dir.path(), &["report", "--language", "en"]), 0);
    assert!(text.contains("Refused 3, Refused by other rules 1, Put off (451) 1"), "{text}");
    let html = page(dir.path(), &[]);
    let row = "<td class=\"n\">7</td><td class=\"n\">1</td><td class=\"n\">1</td><td class=\"n\">1</td><td class=\"n\">3</td>";
    assert!(html.contains(row) && html.contains(">Refusés par d&#x27;autres règles</th>"), "{html}");
    let (csv, _) = ran(&log(dir.path(), &["report", "--format", "csv"]), 0);
    assert!(csv.contains("messages,accepted,held,refused,refused_by_others,deferred"), "{csv}");
    assert!(csv.contains("locale,s-liste-a,,7,1,1,1,3,1,"), "{csv}");
}

/// drancy:III.3.d: nor may the figures of another charter tell what one without statistics did to a sender's mail.
#[test]
fn what_a_charter_without_statistics_refuses_stands_in_no_figure_of_a_sender() {
    let message = |outcome: &str, silent: &str| -> Event {
        let silent = JudgementRecord { statistics: false, ..judged("drancy", silent) };
        let judgements = vec![judged("locale", "accept"), silent];
        DecisionRecord { verdict: outcome.into(), judgements, ..DecisionRecord::default() }.into()
    };
    let (_, report) = reported(vec![message("accept", "accept"), message("reject", "reject")]);
    let [drancy, local] = [0, 1].map(|charter| &report["charters"][charter]);
    assert_eq!((&drancy["charter"], &drancy["senders"]), (&"drancy".into(), &serde_json::json!([])));
    assert_eq!((&local["verdicts"]["accepted"], &local["verdicts"]["refused_by_others"]), (&1.into(), &1.into()));
    let sender = &local["senders"][0]["verdicts"];
    assert_eq!(
        (&sender["messages"], &sender["accepted"], &sender["refused_by_others"]),
        (&1.into(), &1.into(), &0.into())
    );
}

/// Mail that left at once was never held: that none of it left the hold does not say that none of it was delivered.
#[test]
fn mail_that_was_never_held_is_not_said_to_be_undelivered() {
    let judgements = vec![judged("locale", "accept")];
    let decision = DecisionRecord { verdict: "accept".into(), judgements, ..DecisionRecord::default() };
    let (dir, _) = reported(vec![decision.into()]);
    for (language, accepted, released) in [
        ("fr", "Acceptés aussitôt 1", "Distribués après attente : 0"),
        ("en", "Accepted at once 1", "Released after being held: 0"),
    ] {
        let (text, _) = ran(&log(dir.path(), &["report", "--language", language]), 0);
        assert!(text.contains(accepted) && text.contains(released), "{text}");
        assert!(!text.contains("règles générales les ont") && !text.contains("by other rules"), "{text}");
    }
    let html = page(dir.path(), &[]);
    assert!(html.contains(">Distribués après attente</th>") && !html.contains("par d&#x27;autres règles"), "{html}");
}

/// The log of a first day, or of a single sender, has a bar to look at.
#[test]
fn a_single_bar_is_as_wide_as_its_plot() {
    let judgements = vec![judged("locale", "accept")];
    let decision = DecisionRecord { verdict: "accept".into(), judgements, ..DecisionRecord::default() };
    let (dir, _) = reported(vec![decision.into()]);
    let page = page(dir.path(), &[]);
    let figures = elements(&page, "<figure", "</figure>");
    assert_eq!(figures.len(), 2, "one day, and one sender");
    for figure in figures {
        let accepted = elements(figure, "<rect", ">").into_iter().find(|bar| bar.contains("fill=\"#0072B2\"")).unwrap();
        let width: i32 = values(accepted, "width")[0].parse().unwrap();
        assert!(width > 700, "{accepted}");
    }
}

/// Whom a suspension stops, and when.
#[test]
fn a_suspension_names_what_it_stops_and_its_days() {
    let time = |text: &str| Some(text.parse().unwrap());
    let breaker = StopRecord {
        action: "breaker".into(),
        target: "sender".into(),
        charter: Some("locale".into()),
        list: Some("membres@listes.example".into()),
        sender: Some("s-liste-a".into()),
        reason: "flood".into(),
        ..StopRecord::default()
    };
    let order = StopRecord {
        action: "stop".into(),
        target: "list".into(),
        list: Some("jury@listes.example".into()),
        reason: "ordre".into(),
        from: time("2026-07-01T06:00:00Z"),
        until: time("2026-07-03T06:00:00Z"),
        ..StopRecord::default()
    };
    let (dir, report) = reported(vec![breaker.into(), order.into()]);
    assert_eq!(report["stops"][0]["whom"], "s-liste-a");
    assert_eq!(report["stops"][0]["from"], serde_json::Value::Null);
    assert_eq!(report["stops"][1]["whom"], "jury@listes.example");
    assert_eq!(report["stops"][1]["from"], "2026-07-01T06:00:00Z");
    assert_eq!(report["stops"][1]["until"], "2026-07-03T06:00:00Z");
    let (text, _) = ran(&log(dir.path(), &["report", "--language", "fr"]), 0);
    assert!(text.contains("disjoncteur expéditeur s-liste-a  "), "{text}");
    let days = "À partir de 2026-07-01 06:00:00 +00:00  Jusqu'à 2026-07-03 06:00:00 +00:00";
    assert!(text.contains(days), "{text}");
    let html = page(dir.path(), &[]);
    assert!(html.contains(">À partir de</th>"), "{html}");
    assert!(html.contains("<td>2026-07-01 06:00:00 +00:00</td><td>2026-07-03 06:00:00 +00:00</td>"), "{html}");
}

/// A quota may have another limit on each list; one over all lists is another quota than one for each.
#[test]
fn the_fullest_use_of_a_quota_is_that_of_the_greatest_share() {
    let quota = |of: &str, over: &str, used: u64, max: u64| QuotaUse {
        per: "week".into(),
        of: of.into(),
        over: over.into(),
        used,
        max,
        clause: "locale:3".into(),
    };
    let message = |quotas: Vec<QuotaUse>| -> Event {
        let judgements = vec![JudgementRecord { quotas, ..judged("locale", "accept") }];
        DecisionRecord { verdict: "accept".into(), judgements, ..DecisionRecord::default() }.into()
    };
    let (dir, report) = reported(vec![
        message(vec![quota("sender", "list", 1, 2), quota("mailbox", "all-lists", 5, 5)]),
        message(vec![quota("sender", "list", 2, 2), quota("mailbox", "all-lists", 8, 8)]),
        message(vec![quota("sender", "list", 3, 9), quota("mailbox", "all-lists", 7, 8)]),
    ]);
    let quotas = report["charters"][0]["senders"][0]["quotas"].as_array().unwrap();
    let figures: Vec<_> = quotas.iter().map(|quota| (&quota["used"], &quota["max"])).collect();
    assert_eq!(figures, [(&8.into(), &8.into()), (&2.into(), &2.into())]);
    let fr =
        "8/8 (semaine, boîte, vers toutes les listes, locale:3); 2/2 (semaine, expéditeur, vers une liste, locale:3)";
    let en = "8/8 (week, mailbox, to all lists, locale:3); 2/2 (week, sender, to one list, locale:3)";
    for (language, said) in [("fr", fr), ("en", en)] {
        let (text, _) = ran(&log(dir.path(), &["report", "--language", language]), 0);
        assert!(text.contains(said), "{text}");
        assert!(page(dir.path(), &["--language", language]).contains(said));
    }
    let (csv, _) = ran(&log(dir.path(), &["report", "--format", "csv"]), 0);
    assert!(csv.contains("8/8 per week of mailbox over all-lists; 2/2 per week of sender over list"), "{csv}");
}

/// Every start of the daemon records the configuration in force; what did not change is no change.
#[test]
fn a_restart_is_no_change_of_the_configuration() {
    let config = |digest: &str| -> Event {
        ConfigRecord { digest: digest.into(), version: "1".into(), ..ConfigRecord::default() }.into()
    };
    let (dir, report) = reported(["aa", "aa", "bb", "bb", "aa"].map(config).into());
    let digests = |report: &serde_json::Value| -> Vec<String> {
        let lines = report["configurations"].as_array().unwrap();
        lines.iter().map(|line| line["digest"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(digests(&report), ["aa", "bb", "aa"]);
    // What was in force before the first day asked for is known too.
    let (later, _) = ran(&log(dir.path(), &["report", "--format", "json", "--from", "2026-06-12"]), 0);
    assert!(digests(&serde_json::from_str(&later).unwrap()).is_empty());
}

/// Headless Chromium opens the report: nothing is requested, nothing complains, the plots are there.
#[test]
fn the_html_report_opens_in_a_browser_without_a_word_or_a_request() {
    let life = two_weeks();
    let (page, out) = path(life.dir.path(), "report.html");
    let arguments =
        ["report", "--format", "html", "--time-zone", "Europe/Paris", "--out", &out, "--key", &life.first_key];
    ran(&log(life.dir.path(), &arguments), 0);
    let html = std::fs::read_to_string(&page).unwrap();
    for forbidden in ["http://", "https://", "<script", " src=", "@import", "url("] {
        let own_names = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!own_names.contains(forbidden), "the page has {forbidden}");
    }
    assert!(html.contains("<html lang=\"fr\">"));
    assert!(html.contains("3&nbsp;× Le message est trop volumineux. <code>too-large</code>"));
    assert_eq!(html.matches("<svg ").count(), 3, "two plots under one charter, one under the other");
    let browser = Browser::start();
    let (dom, complaints, asked) = browser.open(&page);
    assert!(dom.contains("<main>") && dom.contains("<rect"), "the page is drawn");
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(asked.is_empty(), "{asked:?}");
    let shot = std::env::temp_dir().join("charter-milter-report.png");
    browser.run(&page, &[format!("--screenshot={}", shot.display())]);
    assert!(std::fs::metadata(&shot).unwrap().len() > 20_000, "a screenshot with something on it");

    // A page that does complain and ask is noticed: otherwise the silence above says nothing.
    let (bad, _) = path(life.dir.path(), "bad.html");
    std::fs::write(&bad, "<img src=\"http://127.0.0.1:9/pixel.png\"><script>console.error('spoken')</script>").unwrap();
    let (_, complaints, asked) = browser.open(&bad);
    assert!(complaints.iter().any(|line| line.contains("spoken")), "{complaints:?}");
    assert!(asked.iter().any(|line| line.contains("127.0.0.1:9/pixel.png")), "{asked:?}");
}

/// A headless Chromium with a profile of its own.
struct Browser {
    program: &'static str,
    profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
        let program = programs.into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("there is no Chromium: run tests/install-packages tools");
        Self { program, profile: tempfile::tempdir().unwrap() }
    }

    fn run(&self, page: &Path, extra: &[String]) -> Output {
        let mut command = Command::new(self.program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--enable-logging=stderr", "--v=0", "--window-size=1000,2600"]);
        command.arg(format!("--user-data-dir={}", self.profile.path().join("profile").display()));
        command.args(extra).arg(format!("file://{}", page.display()));
        command.output().unwrap()
    }

    /// The page as it was drawn, what it said on the console, and what it asked of the network: not what the browser asks for on
    /// its own account, never for the page's sake.
    fn open(&self, page: &Path) -> (String, Vec<String>, Vec<String>) {
        let netlog = self.profile.path().join("net.json");
        let output = self.run(page, &["--dump-dom".to_owned(), format!("--log-net-log={}", netlog.display())]);
        let lines = |text: &str, wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
            text.lines().filter(|line| wanted(line)).map(str::to_owned).collect()
        };
        let complaints = lines(&String::from_utf8_lossy(&output.stderr), &|line| line.contains("CONSOLE"));
        let net = std::fs::read_to_string(&netlog).unwrap();
        let asked =
            lines(&net, &|line| line.contains("\"network_isolation_key\":\"file:") && line.contains("\"url\":\"http"));
        (String::from_utf8_lossy(&output.stdout).into_owned(), complaints, asked)
    }
}
