//! The page at `/`, in a real browser: what people see of what comes in.

use tempfile::tempdir;

use crate::browser::Page;
use crate::client::post;
use crate::request::{KEY, Post, body};
use crate::running::Running;

/// Gives the form this key, as somebody who types it.
fn enter(key: &str) -> String {
    format!(
        "document.getElementById('key').value = '{key}'; document.querySelector('form button').click(); true"
    )
}

#[tokio::test]
async fn the_page_asks_for_the_key_shows_what_comes_in_and_speaks_both_languages() {
    let directory = tempdir().unwrap();
    let service = Running::start(directory.path()).await;
    let Some(mut page) = Page::open(&format!("http://{}/", service.address)).await else {
        return service.stop().await.unwrap();
    };
    page.until("document.title === 'VAI receiver'").await;
    page.until("!document.getElementById('enter').hidden && document.getElementById('all').hidden").await;
    page.is(&enter("a-key-that-opens-nothing")).await;
    page.until("document.getElementById('wrong').textContent === 'This key does not open it.'").await;

    page.is(&enter(KEY)).await;
    page.until("document.getElementById('state').textContent === 'live'").await;
    page.until("document.getElementById('events').innerText.includes('Nothing came in yet.')").await;
    page.until("document.getElementById('sinks').innerText.includes('There is no sink')").await;

    // It comes without a reload; what a sender wrote is text, whatever it looks like.
    let event = Post::signed(&body("evt_shown", "message.sent")).set("x-vai-webhook-id", "<u>crm</u>");
    assert_eq!(post(service.address, &event).await.status, 200);
    page.until("document.getElementById('events').innerText.includes('evt_shown')").await;
    let row = page.is("[...document.querySelectorAll('#events tr')].map(tr => tr.innerText).join('|')").await;
    assert!(row.as_str().unwrap().contains("<u>crm</u>"), "{row}");
    assert_eq!(page.is("document.querySelectorAll('u').length").await, 0);
    page.until("document.querySelector('#cards b').textContent === '1'").await;

    page.is("document.getElementById('language').click(); true").await;
    page.until("document.title === 'Receptor VAI' && document.documentElement.lang === 'ro'").await;
    let shown = page.is("document.body.innerText").await;
    for word in ["în direct", "evenimente stocate", "Destinații", "Cele mai noi evenimente"] {
        assert!(shown.as_str().unwrap().contains(word), "{word}: {shown}");
    }

    page.is("document.getElementById('leave').click(); true").await;
    page.until("!document.getElementById('enter').hidden && document.getElementById('all').hidden").await;
    assert_eq!(page.is("sessionStorage.getItem('key')").await, serde_json::Value::Null);
    service.stop().await.unwrap();
}
