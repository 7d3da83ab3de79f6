//! Bad events: a clear problem each, and nothing changed.

use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn each_bad_event_has_its_problem_and_changes_nothing() {
    let server = Server::start().await;
    let before = server.everything().await;
    let deep = format!(r#"{{"event":"a","data":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        (r#"{"data":1}"#, vec![("/event", "missing")]),
        (r#"{"event":"a"}"#, vec![("/data", "missing")]),
        ("{}", vec![("/event", "missing"), ("/data", "missing")]),
        (r#"{"event":"a b","data":1}"#, vec![("/event", "invalid_event_type")]),
        (r#"{"event":"a..b","data":1}"#, vec![("/event", "invalid_event_type")]),
        (r#"{"event":"","data":1}"#, vec![("/event", "invalid_event_type")]),
        (r#"{"event":7,"data":1}"#, vec![("/event", "wrong_type")]),
        (r#"{"event":"message.sent","data":[1]}"#, vec![("/data", "wrong_type")]),
        (r#"{"event":"a","data":1,"dat":2}"#, vec![("/dat", "unknown_field")]),
        (r#"{"event":"a","data":1,"id":"with.dot"}"#, vec![("/id", "invalid_id")]),
        (r#"{"event":"a","data":1,"timestamp":"yesterday"}"#, vec![("/timestamp", "wrong_type")]),
        (
            r#"{"event":"a","data":1,"deliverAt":"2999-01-01T00:00:00Z"}"#,
            vec![("/deliverAt", "out_of_range")],
        ),
        (r#"{"event":"a","data":1,"channels":["a b"]}"#, vec![("/channels/0", "invalid_channel")]),
        (r#"{"event":"a","data":1,"event":"b"}"#, vec![("", "invalid_json")]),
        (r#"{"event":"a","data":{"x":1,"x":2}}"#, vec![("", "invalid_json")]),
        (&deep, vec![("", "invalid_json")]),
        ("not json", vec![("", "invalid_json")]),
        ("", vec![("", "invalid_json")]),
        ("[1]", vec![("", "wrong_type")]),
    ];
    for (body, fields) in cases {
        let shown: String = body.chars().take(60).collect();
        let answer = server.call("POST", "/v1/events", body.to_owned()).await;
        assert_eq!((answer.status, answer.problem()), (400, "invalid_input"), "{shown}");
        assert_eq!(answer.fields(), fields, "{shown}");
    }
    let invalid_utf8 = b"{\"event\":\"a\",\"data\":\"\xff\"}".as_slice();
    let answer = server.call("POST", "/v1/events", invalid_utf8).await;
    assert_eq!((answer.status, answer.fields()), (400, vec![("", "invalid_json")]));
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_just_below_it_is_taken() {
    let server = Server::start().await;
    let of_bytes = |bytes: usize| {
        let frame = r#"{"event":"a","data":""}"#.len();
        format!(r#"{{"event":"a","data":"{}"}}"#, "x".repeat(bytes - frame))
    };
    let limit = 1024 * 1024;
    let answer = server.call("POST", "/v1/events", of_bytes(limit + 1)).await;
    assert_eq!((answer.status, answer.problem()), (413, "too_large"));
    // The envelope around the data counts too.
    let answer = server.call("POST", "/v1/events", of_bytes(limit)).await;
    assert_eq!((answer.status, answer.problem()), (413, "too_large"));
    let answer = server.call("POST", "/v1/events", of_bytes(limit - 100)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
}

#[tokio::test]
async fn in_a_batch_each_entry_has_its_own_result() {
    let server = Server::start().await;
    let large = "x".repeat(1024 * 1024);
    let batch = json!([
        {"event": "a", "data": 1, "id": "first"},
        {"event": "b b", "data": 1},
        7,
        {"event": "a", "data": large},
        {"event": "a", "data": 2, "id": "first"},
        {"event": "c", "data": {"last": true}},
    ]);
    let answer = server.call("POST", "/v1/events/batch", batch.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let results = answer.json["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 400, 413, 409, 202]);
    assert_eq!(results[1]["errors"][0]["pointer"], "/event");
    assert_eq!(results[4]["code"], "content_differs");
    let listed = server.call("GET", "/v1/events", "").await;
    let events: Vec<&str> =
        listed.json["data"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["c", "a"]);
}

#[tokio::test]
async fn ndjson_is_a_batch_too_and_a_broken_batch_is_refused_whole() {
    let server = Server::start().await;
    let key = format!("Bearer {}", crate::server::ADMIN);
    let headers = [("authorization", key.as_str()), ("content-type", "application/x-ndjson")];
    let lines = b"{\"event\":\"a\",\"data\":1}\n\xff\n\n{\"event\":\"b\",\"data\":1}\r\n".as_slice();
    let answer = server.send("POST", "/v1/events/batch", &headers, lines).await;
    let results = answer.json["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 202]);
    for (body, code) in [("[{\"event\":", "invalid_json"), ("[]", "empty"), ("{}", "invalid_json")] {
        let answer = server.call("POST", "/v1/events/batch", body).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![("", code)]), "{body}");
    }
    let many = format!("[{}1]", "1,".repeat(1_000));
    let answer = server.call("POST", "/v1/events/batch", many).await;
    assert_eq!((answer.status, answer.fields()), (400, vec![("", "too_many")]));
    let answer = server.call("POST", "/v1/events/batch", "x".repeat(8 * 1024 * 1024 + 1)).await;
    assert_eq!((answer.status, answer.problem()), (413, "too_large"));
}
