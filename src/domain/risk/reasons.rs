//! What is said of a metric's value, in plain words.
//!
//! Knows metrics and words. Must never know what a value does to the risk, or who wrote the change.

use super::ChangeMetrics;
use super::metric::Metric;

/// What a change is or does, for instance `touches 9 directories`.
///
/// An author's experience is only ever told as how well the files are known.
pub fn says(metric: Metric, value: f64) -> String {
    let counted = |one: &str, many: &str| counted(value, one, many);
    let yes = value >= 0.5;
    match metric {
        Metric::LinesAdded => format!("adds {}", counted("line", "lines")),
        Metric::LinesDeleted => format!("deletes {}", counted("line", "lines")),
        Metric::Files => format!("touches {}", counted("file", "files")),
        Metric::Directories => format!("touches {}", counted("directory", "directories")),
        Metric::Subsystems if value < 1.5 => "stays in 1 top-level directory".to_owned(),
        Metric::Subsystems => format!("touches {}", counted("top-level directory", "top-level directories")),
        Metric::Entropy if value <= 0.5 => "has its lines mostly in one file".to_owned(),
        Metric::Entropy => format!("spreads its lines as if evenly over {:.0} files", value.exp2()),
        Metric::Fix if yes => "says that it is a fix".to_owned(),
        Metric::Fix => "does not say that it is a fix".to_owned(),
        Metric::LinesBefore if value < 0.5 => "touches new files only".to_owned(),
        Metric::LinesBefore => format!("touches files of {} on average", counted("line", "lines")),
        Metric::Developers if value < 0.5 => "touches files that nobody changed before".to_owned(),
        Metric::Developers => format!("touches files that {} changed before", counted("developer", "developers")),
        Metric::AgeDays if value < 1.0 => "touches files that changed within a day".to_owned(),
        Metric::AgeDays => format!("touches files that last changed {} ago", counted("day", "days")),
        Metric::UniqueChanges if value < 0.5 => "touches files without earlier changes".to_owned(),
        Metric::UniqueChanges => format!("touches files last changed by {}", counted("commit", "different commits")),
        Metric::Touches if value < 0.5 => "touches files that never changed".to_owned(),
        Metric::Touches => format!("touches files that changed {} before", counted("time", "times")),
        Metric::SubsystemExperience if value < 0.5 => "the author is new to these files".to_owned(),
        Metric::SubsystemExperience if value < 10.0 => "the author knows these files a little".to_owned(),
        Metric::SubsystemExperience => "the author knows these files".to_owned(),
        Metric::NewFiles => format!("makes {}", counted("new file", "new files")),
        Metric::TestFiles => format!("touches {}", counted("file of tests", "files of tests")),
        Metric::DocFiles => format!("touches {}", counted("file of documentation", "files of documentation")),
        Metric::ConfigFiles => format!("touches {}", counted("file of settings", "files of settings")),
        Metric::CodeFiles => format!("touches {}", counted("file of code", "files of code")),
        Metric::LargestFile => format!("changes {} in the file that changes most", counted("line", "lines")),
        Metric::MessageChars => format!("has a message of {}", counted("character", "characters")),
        Metric::SubjectChars => format!("has a first line of {}", counted("character", "characters")),
        Metric::NamesIssue if yes => "names an issue".to_owned(),
        Metric::NamesIssue => "names no issue".to_owned(),
        Metric::Reverts if yes => "says that it reverts".to_owned(),
        Metric::Reverts => "does not say that it reverts".to_owned(),
        Metric::Refactors if yes => "says that it refactors".to_owned(),
        Metric::Refactors => "does not say that it refactors".to_owned(),
        Metric::BringsFeature if yes => "says that it brings something new".to_owned(),
        Metric::BringsFeature => "does not say that it brings something new".to_owned(),
        Metric::EarlierFixes => format!("touches files with {}", counted("earlier fix", "earlier fixes")),
        // 1 / (1 + months), so half is a month ago.
        Metric::LastFix if value <= 0.0 => "touches files that were never fixed".to_owned(),
        Metric::LastFix if value >= 0.5 => "touches files fixed within the last month".to_owned(),
        Metric::LastFix => {
            format!("touches files last fixed {} ago", self::counted(1.0 / value - 1.0, "month", "months"))
        }
        Metric::FixShare => format!("touches files of whose changes {:.0} % were fixes", 100.0 * value),
        Metric::Touches90Days if value < 0.5 => "touches files that hardly changed in 90 days".to_owned(),
        Metric::Touches90Days => {
            format!("touches files that changed {} in 90 days on average", counted("time", "times"))
        }
    }
}

/// What two metrics are together; `None` when one of them is not known.
pub fn says_both(of: (Metric, Metric), metrics: &ChangeMetrics) -> Option<String> {
    let (first, second) = (says(of.0, of.0.of(metrics)?), says(of.1, of.1.of(metrics)?));
    Some(format!("both together: {first}, {second}"))
}

/// A rounded number with its noun; `no lines` for none.
pub(super) fn counted(value: f64, one: &str, many: &str) -> String {
    match value.round() {
        n if n < 1.0 => format!("no {many}"),
        n if n < 2.0 => format!("1 {one}"),
        n => format!("{n:.0} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::risk::HistoryMetrics;

    #[test]
    fn every_metric_has_words_for_none_one_and_many() {
        let told: String = Metric::ALL
            .into_iter()
            .map(|metric| format!("{} | {} | {}\n", says(metric, 0.0), says(metric, 1.0), says(metric, 40.0)))
            .collect();
        insta::assert_snapshot!(told, @"
        adds no lines | adds 1 line | adds 40 lines
        deletes no lines | deletes 1 line | deletes 40 lines
        touches no files | touches 1 file | touches 40 files
        touches no directories | touches 1 directory | touches 40 directories
        stays in 1 top-level directory | stays in 1 top-level directory | touches 40 top-level directories
        has its lines mostly in one file | spreads its lines as if evenly over 2 files | spreads its lines as if evenly over 1099511627776 files
        does not say that it is a fix | says that it is a fix | says that it is a fix
        touches new files only | touches files of 1 line on average | touches files of 40 lines on average
        touches files that nobody changed before | touches files that 1 developer changed before | touches files that 40 developers changed before
        touches files that changed within a day | touches files that last changed 1 day ago | touches files that last changed 40 days ago
        touches files without earlier changes | touches files last changed by 1 commit | touches files last changed by 40 different commits
        touches files that never changed | touches files that changed 1 time before | touches files that changed 40 times before
        the author is new to these files | the author knows these files a little | the author knows these files
        makes no new files | makes 1 new file | makes 40 new files
        touches no files of tests | touches 1 file of tests | touches 40 files of tests
        touches no files of documentation | touches 1 file of documentation | touches 40 files of documentation
        touches no files of settings | touches 1 file of settings | touches 40 files of settings
        touches no files of code | touches 1 file of code | touches 40 files of code
        changes no lines in the file that changes most | changes 1 line in the file that changes most | changes 40 lines in the file that changes most
        has a message of no characters | has a message of 1 character | has a message of 40 characters
        has a first line of no characters | has a first line of 1 character | has a first line of 40 characters
        names no issue | names an issue | names an issue
        does not say that it reverts | says that it reverts | says that it reverts
        does not say that it refactors | says that it refactors | says that it refactors
        does not say that it brings something new | says that it brings something new | says that it brings something new
        touches files with no earlier fixes | touches files with 1 earlier fix | touches files with 40 earlier fixes
        touches files that were never fixed | touches files fixed within the last month | touches files fixed within the last month
        touches files of whose changes 0 % were fixes | touches files of whose changes 100 % were fixes | touches files of whose changes 4000 % were fixes
        touches files that hardly changed in 90 days | touches files that changed 1 time in 90 days on average | touches files that changed 40 times in 90 days on average
        ");
    }

    #[test]
    fn shares_and_times_since_have_words_between() {
        let told = [
            says(Metric::LastFix, 0.2),
            says(Metric::LastFix, 0.7),
            says(Metric::FixShare, 0.254),
            says(Metric::Entropy, 3.2),
            says(Metric::SubsystemExperience, 4.0),
            says(Metric::AgeDays, 0.4),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        touches files last fixed 4 months ago
        touches files fixed within the last month
        touches files of whose changes 25 % were fixes
        spreads its lines as if evenly over 9 files
        the author knows these files a little
        touches files that changed within a day
        ");
    }

    #[test]
    fn no_words_speak_of_a_person_but_of_knowing_the_files() {
        for metric in Metric::ALL {
            for value in [0.0, 1.0, 5.0, 40.0] {
                let text = says(metric, value);
                assert_eq!(text.contains("author"), metric == Metric::SubsystemExperience, "{text}");
            }
        }
    }

    #[test]
    fn a_pair_says_both() {
        let history = HistoryMetrics { developers: Some(9.0), ..HistoryMetrics::default() };
        let metrics = ChangeMetrics { lines_added: Some(1), history: Some(Box::new(history)), ..Default::default() };
        let told = says_both((Metric::LinesAdded, Metric::Developers), &metrics);
        insta::assert_snapshot!(told.unwrap_or_default(), @"both together: adds 1 line, touches files that 9 developers changed before");
        assert_eq!(says_both((Metric::LinesAdded, Metric::Touches), &metrics), None);
    }
}
