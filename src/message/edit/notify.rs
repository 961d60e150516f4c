//! Delivery receipts in the envelope: the parameters of RCPT (RFC 3461), and what neutralises them (cnrs:III.e).

/// The parameters with which the recipient has to be given again so that nobody is told of a successful delivery;
/// `None` when they ask for no such thing.
///
/// Notices of failure and delay stay as asked for; who asked for success alone gets the notice of failure that every
/// sender gets by default (RFC 3461 section 4.1).
#[must_use]
pub fn neutralised(parameters: &[String]) -> Option<Vec<String>> {
    let mut asks = false;
    let neutral = parameters.iter().map(|parameter| {
        let Some((keyword, values)) = parameter.split_once('=').filter(|(k, _)| k.eq_ignore_ascii_case("NOTIFY"))
        else {
            return parameter.clone();
        };
        let is_success = |value: &&str| value.trim().eq_ignore_ascii_case("SUCCESS");
        if !values.split(',').any(|value| is_success(&value)) {
            return parameter.clone();
        }
        asks = true;
        let others: Vec<&str> = values.split(',').filter(|value| !is_success(value)).collect();
        let others = if others.is_empty() { "FAILURE".to_owned() } else { others.join(",") };
        format!("{keyword}={others}")
    });
    let neutral = neutral.collect();
    asks.then_some(neutral)
}

#[cfg(test)]
mod tests {
    use super::neutralised;

    fn run(parameters: &[&str]) -> Option<String> {
        let parameters: Vec<String> = parameters.iter().map(|&p| p.to_owned()).collect();
        let neutral = neutralised(&parameters)?;
        assert_eq!(neutralised(&neutral), None, "a second run changes nothing");
        Some(neutral.join(" "))
    }

    #[test]
    fn success_is_taken_out_and_nothing_else() {
        assert_eq!(run(&["NOTIFY=SUCCESS"]).as_deref(), Some("NOTIFY=FAILURE"));
        assert_eq!(
            run(&["ORCPT=rfc822;a@b.example", "notify=Delay,success,FAILURE"]).as_deref(),
            Some("ORCPT=rfc822;a@b.example notify=Delay,FAILURE")
        );
        for quiet in [&[][..], &["NOTIFY=NEVER"], &["NOTIFY=FAILURE,DELAY"], &["ORCPT=rfc822;SUCCESS@b.example"]] {
            assert_eq!(run(quiet), None);
        }
    }
}
