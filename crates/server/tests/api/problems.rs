//! Every answer that is not 2xx is a problem with a stable code.

use crate::server::{ADMIN, Server};

#[tokio::test]
async fn paths_methods_keys_and_ids_that_are_wrong_have_their_problems() {
    let server = Server::start().await;
    let bearer = format!("Bearer {ADMIN}");
    let key = ("authorization", bearer.as_str());
    for (method, path, headers, status, code) in [
        ("GET", "/", vec![], 404, "unknown_path"),
        ("GET", "/v1/nothing", vec![key], 404, "unknown_path"),
        ("PUT", "/v1/events", vec![key], 405, "wrong_method"),
        ("POST", "/health", vec![], 405, "wrong_method"),
        ("GET", "/v1/events", vec![], 401, "no_key"),
        ("GET", "/v1/events", vec![("authorization", "Basic abc")], 401, "no_key"),
        ("GET", "/v1/events", vec![("authorization", "Bearer wrong")], 401, "unknown_key"),
        ("GET", "/v1/events", vec![key, ("x-vai-tenant", "Not A Name")], 400, "invalid_tenant"),
        ("GET", "/v1/webhooks/none", vec![key], 404, "not_found"),
        ("GET", "/v1/webhooks/%20", vec![key], 404, "not_found"),
        ("DELETE", "/v1/webhooks/none", vec![key], 404, "not_found"),
        ("POST", "/v1/webhooks/none/test", vec![key], 404, "not_found"),
        ("GET", "/v1/events/evt_00000000000000000000", vec![key], 404, "not_found"),
        ("GET", "/v1/events/a.b", vec![key], 404, "not_found"),
        ("POST", "/v1/events/none/resend", vec![key], 404, "not_found"),
        ("GET", "/v1/events?cursor=none", vec![key], 400, "invalid_input"),
        ("GET", "/v1/webhooks?cursor=c123", vec![key], 400, "invalid_input"),
        ("GET", "/v1/events?limit=0", vec![key], 400, "invalid_input"),
        ("GET", "/v1/events?limit=251", vec![key], 400, "invalid_input"),
        ("GET", "/v1/events?limit=x", vec![key], 400, "invalid_input"),
        ("GET", "/v1/events?what=1", vec![key], 400, "invalid_input"),
    ] {
        let answer = server.send(method, path, &headers, "").await;
        assert_eq!((answer.status, answer.problem()), (status, code), "{method} {path}");
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        if status == 405 {
            assert!(answer.headers.contains_key("allow"), "{method} {path}");
        }
    }
}
