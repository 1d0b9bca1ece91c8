use super::*;

fn parsed(text: &str) -> anyhow::Result<DataFile> {
    parse("x.csv", "x".to_owned(), text.as_bytes(), &[])
}

fn wrong(bytes: &[u8]) -> String {
    format!("{:#}", parse("x.csv", "x".to_owned(), bytes, &[]).unwrap_err())
}

#[test]
fn rows_are_read_and_stand_in_the_order_of_time() {
    let file = parsed("ts,la,ld,nf,fix,lt,bug\n200,7,1,2,1,30.5,1\n100,4,,1,0,,0\n").unwrap();
    let [first, second] = file.rows.as_slice() else { panic!("{file:?}") };
    assert_eq!((first.at, first.lines, first.outcome), (Timestamp(100_000), 4, Some(false)));
    assert_eq!((first.metrics.lines_deleted, first.metrics.history.as_ref()), (None, None));
    assert_eq!((second.at, second.lines, second.outcome), (Timestamp(200_000), 8, Some(true)));
    assert_eq!((second.metrics.files, second.metrics.fix), (Some(2), Some(true)));
    assert_eq!(second.metrics.history.as_ref().and_then(|history| history.lines_before), Some(30.5));
}

#[test]
fn three_columns_are_enough_and_others_do_no_harm() {
    let file = parsed("sha,cts,la,afix,bug,note\nabc,1,3,0.5,1,\"a, b\"\n").unwrap();
    assert_eq!((file.rows.len(), file.rows[0].metrics.lines_added), (1, Some(3)));
    assert_eq!(file.rows[0].metrics.history, None);
}

#[test]
fn a_file_of_windows_with_a_mark_at_its_start_is_read() {
    assert_eq!(parsed("\u{feff}ts,la,bug\r\n1,3,1\r\n2,4,0\r\n").unwrap().rows.len(), 2);
}

#[test]
fn holes_are_unknown_and_an_unknown_outcome_is_none() {
    let file = parsed("ts,la,ld,bug\n1,,2,\n2,NA,,1\n").unwrap();
    assert_eq!((file.rows[0].metrics.lines_added, file.rows[0].outcome), (None, None));
    assert_eq!((file.rows[1].metrics.lines_deleted, file.rows[1].outcome), (None, Some(true)));
}

#[test]
fn what_is_below_zero_is_unknown_and_counted() {
    let file = parsed("ts,la,age,bug\n-5,1,-0.2,0\n-4,-1,3,0\n").unwrap();
    assert_eq!((file.below_zero, file.rows[0].at), (2, Timestamp(-5_000)));
    assert_eq!((file.rows[0].metrics.history.as_ref(), file.rows[1].metrics.lines_added), (None, None));
}

#[test]
fn the_file_tells_whether_it_counts_commits_or_touches() {
    let of = |text: &str| {
        let history = parsed(text).unwrap().rows[0].metrics.history.clone().unwrap();
        (history.touches, history.unique_changes)
    };
    assert_eq!(of("ts,la,nf,nuc,bug\n1,1,2,2,0\n2,1,3,1,0\n"), (None, Some(2.0)));
    assert_eq!(of("ts,la,nf,nuc,bug\n1,1,2,90,0\n2,1,3,1,0\n"), (Some(90.0), None));
    assert_eq!(of("ts,la,nf,nuc,nuc_u,bug\n1,1,2,2,1,0\n"), (Some(2.0), Some(1.0)));
}

#[test]
fn a_masked_column_is_unknown_in_the_files_it_is_masked_in() {
    let mask = || [Mask { column: "fix".to_owned(), files: "issta".to_owned() }];
    let read = |name: &str| parse("x", name.to_owned(), b"ts,la,fix,bug\n1,1,1,0\n", &mask()).unwrap();
    let (masked, other) = (read("issta-qt"), read("cg-git"));
    assert_eq!((masked.rows[0].metrics.fix, masked.masked), (None, vec!["fix".to_owned()]));
    assert_eq!((other.rows[0].metrics.fix, other.masked), (Some(true), vec![]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let told = [
        wrong(b""),
        wrong(b" \n\n"),
        wrong(b"la,bug\n1,0\n"),
        wrong(b"time;la;bug\n1;2;0\n"),
        wrong(b"ts,la,la,bug\n1,2,2,0\n"),
        wrong(b"ts,la,bug\n"),
        wrong(b"ts,la,bug\n1,2,0\n2,3\n"),
        wrong(b"ts,la,bug\n1,2,0\n2,many,0\n"),
        wrong(b"ts,la,bug\n1,2,0\n2,3,2\n"),
        wrong(b"ts,la,bug\n1,2,0\n,3,1\n"),
        wrong(b"ts,la,bug\n1,2,0\n\n\n2,\xff\xfe,1\n"),
        wrong(b"ts,la,b\xffg\n1,2,0\n"),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    x.csv: the file is empty
    x.csv: the file is empty
    x.csv line 1: the header names no column `ts` or `cts`
    x.csv line 1: the header names no column `la`, `bug`, `ts` or `cts`
    x.csv line 1, column 3: there are two columns `la`
    x.csv: there is a header and no change below it
    x.csv line 3: 2 cells where the header names 3 columns
    x.csv line 3, column 2 (`la`): `many` is not a number
    x.csv line 3, column 3 (`bug`): `2` is neither 0 nor 1
    x.csv line 3, column 1 (`ts`): there is no time, so the change has no place in the order
    x.csv line 3, column 2 (`la`): not UTF-8 text
    x.csv line 1, column 3: the name of the column is not UTF-8 text
    ");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = read(Path::new("none/such.csv"), &[]).unwrap_err();
    assert!(format!("{error:#}").starts_with("cannot read none/such.csv: "), "{error:#}");
}
