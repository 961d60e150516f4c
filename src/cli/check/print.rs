//! A summary as text for people.

use std::io::{Result, Write};

use anstyle::{AnsiColor, Style};

use super::summary::{CharterSummary, ClauseSummary, Kept, ListSummary, MayWrite, Summary, Told};
use super::words::RuleWords;

/// Prints a summary.
pub fn summary(summary: &Summary, out: &mut impl Write, colour: bool) -> Result<()> {
    let mut printer = Printer { out, colour };
    for charter in &summary.charters {
        printer.charter(charter)?;
    }
    printer.heading(0, "Files in force")?;
    for file in &summary.files {
        printer.line(1, &format!("{}  {}", file.sha256, file.path))?;
    }
    printer.line(0, "")
}

struct Printer<'o, O: Write> {
    out: &'o mut O,
    colour: bool,
}

impl<O: Write> Printer<'_, O> {
    fn charter(&mut self, charter: &CharterSummary) -> Result<()> {
        self.heading(0, &format!("Charter {}: {}", charter.id, charter.title))?;
        if charter.monitored {
            self.line(1, "MONITORED: everything is decided and recorded, nothing is refused, edited or held")?;
        }
        self.told(1, "open", charter.period.as_ref())?;
        self.told(1, "delivered", charter.night_window.as_ref())?;
        if charter.inspection == "structure" {
            self.line(1, "inspected: size, shape and header fields only; the text is never looked at")?;
        }
        self.told(1, "never looked into", charter.exemptions.as_ref())?;
        let (deactivated, suspended) = charter.mailboxes;
        if deactivated + suspended > 0 {
            let text =
                format!("mailboxes: {deactivated} deactivated (mail is refused), {suspended} suspended (mail arrives)");
            self.line(1, &text)?;
        }
        for list in &charter.lists {
            self.list(list)?;
        }
        if !charter.general.is_empty() {
            self.heading(1, "For everybody")?;
            self.rules(&charter.general)?;
        }
        self.clauses("Clauses the gateway enforces", charter, Kept::Enforced)?;
        self.clauses("Clauses the gateway only watches (monitored)", charter, Kept::Monitored)?;
        self.clauses("Clauses that people keep (organisational)", charter, Kept::Organisational)?;
        self.clauses("Clauses that NOTHING enforces", charter, Kept::NotEnforced)?;
        self.line(0, "")
    }

    fn list(&mut self, list: &ListSummary) -> Result<()> {
        self.heading(1, &format!("List {} “{}”", list.address, list.label))?;
        if !list.aliases.is_empty() {
            self.line(2, &format!("also reached by {}", list.aliases.join(", ")))?;
        }
        self.told(2, "open", list.period.as_ref())?;
        for sender in &list.may {
            self.may_write(sender)?;
        }
        for sender in &list.may_not {
            let clause = sender.clause.as_ref().map_or_else(String::new, |clause| format!(" [{clause}]"));
            self.line(2, &format!("{} may not write: {}{clause}", sender.name, sender.why))?;
        }
        self.line(2, "rules")?;
        self.rules(&list.rules)
    }

    fn may_write(&mut self, sender: &MayWrite) -> Result<()> {
        self.line(2, &format!("{} may write", sender.name))?;
        self.line(3, &format!("from   {}", sender.from.join(", ")))?;
        self.line(3, &format!("proof  {}", sender.proofs.join(", or ")))?;
        self.line(3, &format!("when   {}; {}", sender.days, sender.now))?;
        for delegate in &sender.delegates {
            self.line(3, &format!("also   {delegate}"))?;
        }
        if !sender.referents.is_empty() {
            self.line(3, &format!("referents  {}", sender.referents.join(", ")))?;
        }
        Ok(())
    }

    fn rules(&mut self, rules: &[RuleWords]) -> Result<()> {
        for rule in rules {
            let monitored = if rule.monitored { " (monitored only)" } else { "" };
            self.line(3, &format!("{:<12} {} [{}]{monitored}", rule.rule.as_str(), rule.says, rule.clause))?;
        }
        Ok(())
    }

    fn clauses(&mut self, heading: &str, charter: &CharterSummary, kept: Kept) -> Result<()> {
        let clauses: Vec<&ClauseSummary> = charter.clauses.iter().filter(|clause| clause.kept == kept).collect();
        if clauses.is_empty() {
            return Ok(());
        }
        self.heading(1, heading)?;
        for clause in clauses {
            self.line(2, &format!("{:<14} {}", clause.id, clause.text))?;
            if !clause.by.is_empty() {
                self.line(2, &format!("{:<14} by {}", "", clause.by.join(", ")))?;
            }
        }
        Ok(())
    }

    fn told(&mut self, depth: usize, what: &str, told: Option<&Told>) -> Result<()> {
        match told {
            Some(told) => self.line(depth, &format!("{what}: {} [{}]", told.says, told.clause)),
            None => Ok(()),
        }
    }

    fn heading(&mut self, depth: usize, text: &str) -> Result<()> {
        const HEADING: Style = AnsiColor::Cyan.on_default().bold();
        let indent = "  ".repeat(depth);
        if depth > 0 {
            writeln!(self.out)?;
        }
        if self.colour {
            writeln!(self.out, "{indent}{HEADING}{text}{HEADING:#}")
        } else {
            writeln!(self.out, "{indent}{text}")
        }
    }

    fn line(&mut self, depth: usize, text: &str) -> Result<()> {
        if text.is_empty() { writeln!(self.out) } else { writeln!(self.out, "{}{text}", "  ".repeat(depth)) }
    }
}
