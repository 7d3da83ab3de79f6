//! What the kind `teams` promises, against the rules of Microsoft Teams.

use std::time::Duration;

use axum::http::StatusCode;
use vai_webhooks_receiver::sink::{Notice, Sink, SinkError};

use super::{again, refused, sink, stored, texts, try_open};
use crate::vendor::Vendor;
use crate::vendor::teams::{PATH, Teams, lines, start};

fn teams(vendor: &Vendor<Teams>, message: &str) -> Box<dyn Sink> {
    sink("teams", &format!("url = \"http://{}{PATH}\"\n{message}", vendor.address))
}

#[tokio::test]
async fn events_that_wait_become_one_card() {
    let vendor = start().await;
    let batch = [
        stored(1, "a.b", r#"{"x":{"y":1},"z":"**bold** [link](https://evil.example)"}"#),
        stored(2, "c", "{}"),
    ];
    teams(&vendor, "").put(&batch).await.unwrap();
    let mut templated = teams(&vendor, "message = \"Session {data.sessionId}\\n{data.text}\"");
    templated.put(&[stored(3, "a.b", r#"{"sessionId":"s-1","text":"one\ntwo"}"#)]).await.unwrap();
    let posted = vendor.state().posted.clone();
    let shown = ["a.b", "x.y: 1", "z: **bold** [link](https://evil.example)", "c"];
    assert_eq!(lines(&posted[0]), shown);
    // Text runs show Markdown as it is typed.
    assert!(posted[0]["body"].as_array().unwrap().iter().all(|block| block["type"] == "RichTextBlock"));
    assert_eq!(lines(&posted[1]), ["Session s-1", "one two"]);
}

#[tokio::test]
async fn texts_of_any_length_and_kind_fit_28_kb() {
    let vendor = start().await;
    for text in ["x".repeat(100_000), "\u{7}\"\\".repeat(50_000), "😀".repeat(50_000), "a\n".repeat(50_000)]
    {
        let batch = texts(&[text.as_str(); 10]);
        for message in ["", r#"message = "{data.text}""#] {
            let mut sink = teams(&vendor, message);
            sink.put(&batch).await.unwrap();
            sink.put(&batch[..1]).await.unwrap();
        }
        let notice = Notice { id: "n".to_owned(), title: text.clone(), text };
        teams(&vendor, "").notify(&notice).await.unwrap();
    }
    assert_eq!(vendor.state().posted.len(), 4 * 5);
}

#[tokio::test]
async fn a_busy_teams_is_tried_again_in_both_ways_that_it_says_so() {
    let vendor = start().await;
    let mut sink = teams(&vendor, "");
    let batch = texts(&["a"]);
    vendor.state().mood.busy = vec!["7"];
    match sink.put(&batch).await {
        Err(SinkError::Again { after, .. }) => assert_eq!(after, Some(Duration::from_secs(7))),
        other => panic!("{other:?}"),
    }
    vendor.state().older_and_busy = true;
    assert!(again(sink.put(&batch).await).contains("429"));
    vendor.state().older_and_busy = false;
    sink.put(&batch).await.unwrap();
    assert_eq!(vendor.state().posted.len(), 1);
}

#[tokio::test]
async fn a_workflow_that_is_down_or_turned_off_loses_no_event() {
    let vendor = start().await;
    let mut sink = teams(&vendor, "");
    let batch = texts(&["a"]);
    vendor.state().mood.down = Some(StatusCode::SERVICE_UNAVAILABLE);
    again(sink.put(&batch).await);
    vendor.state().mood.down = None;
    vendor.state().off = true;
    let detail = again(sink.put(&batch).await);
    assert!(detail.contains("WorkflowTriggerIsNotEnabled") && !detail.contains("hunter2"), "{detail}");
    vendor.state().off = false;
    sink.put(&batch).await.unwrap();
    let other =
        format!("url = \"http://{}/workflows/0f/triggers/manual/paths/invoke?sig=x\"", vendor.address);
    again(super::sink("teams", &other).put(&batch).await);
    assert_eq!(vendor.state().posted.len(), 1);
}

#[tokio::test]
async fn an_event_that_teams_will_not_have_is_refused_alone() {
    let vendor = start().await;
    vendor.state().mood.poison = Some("poison");
    assert_eq!(refused(teams(&vendor, "").put(&texts(&["a", "poison", "b"])).await), 1);
    assert_eq!(lines(&vendor.state().posted[0]), ["a.b", "text: a"]);
}

#[tokio::test]
async fn a_notice_is_a_card_and_the_check_posts_none() {
    let vendor = start().await;
    let mut sink = teams(&vendor, "");
    let found = sink.check().await.unwrap();
    assert!(found.contains("is there") && !found.contains("hunter2"), "{found}");
    assert!(vendor.state().posted.is_empty());
    let notice =
        Notice { id: "n-1".to_owned(), title: "Low".to_owned(), text: "score: 0.4\nagent: a".to_owned() };
    sink.notify(&notice).await.unwrap();
    assert_eq!(lines(&vendor.state().posted[0]), ["Low", "score: 0.4", "agent: a"]);
    let error = try_open("teams", "url = \"https://a/hunter2\"\nmessage = \"{\"").err().unwrap();
    assert!(error.contains("message") && !error.contains("hunter2"), "{error}");
}
