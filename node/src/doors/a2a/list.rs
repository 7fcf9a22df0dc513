//! The caller's tasks, the newest change first, page by page.

use super::{
    Own, flag, message, number,
    task::{self, STATES, Shown},
    time,
    wrong::{What, Wrong},
};
use crate::service::work;
use comity_proto::ids::TaskId;
use futures::future::join_all;
use serde_json::{Value, json};
use std::cmp::Reverse;

const PAGE: u64 = 50;
const PAGE_MAX: u64 = 100;

/// Where a task stands in the list.
type Place = (Reverse<u64>, TaskId);

struct Wanted {
    context: Option<String>,
    state: Option<&'static str>,
    since_ms: u64,
    after: Option<Place>,
    page: usize,
    shown: Shown,
}

fn bad(text: impl Into<String>) -> Wrong {
    Wrong::new(What::InvalidParams, text)
}

fn read(params: &Value) -> Result<Wanted, Wrong> {
    let text = |name: &str| params[name].as_str().filter(|text| !text.is_empty());
    let known = |name: &str| STATES.into_iter().find(|state| *state == name);
    let state = match text("status") {
        None | Some("TASK_STATE_UNSPECIFIED") => None,
        Some(name) => Some(known(name).ok_or_else(|| bad(format!("`status`: no state is called {name}")))?),
    };
    let since = text("statusTimestampAfter");
    let since = since.map(|text| time::parse(text).ok_or_else(|| bad(format!("`{text}` is no time in UTC"))));
    let page = number(&params["pageSize"], "pageSize")?.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&page) {
        return Err(bad(format!("`pageSize` is from 1 to {PAGE_MAX}")));
    }
    let after = text("pageToken").map(|text| place(text).ok_or_else(|| bad("`pageToken` is none of this list")));
    let history = number(&params["historyLength"], "historyLength")?;
    Ok(Wanted {
        context: text("contextId").map(str::to_owned),
        state,
        since_ms: since.transpose()?.unwrap_or(0),
        after: after.transpose()?,
        page: usize::try_from(page).unwrap_or(usize::MAX),
        shown: Shown { history, artifacts: flag(&params["includeArtifacts"]) },
    })
}

fn place(token: &str) -> Option<Place> {
    let (changed_ms, task) = token.split_once('.')?;
    Some((Reverse(changed_ms.parse().ok()?), task.parse().ok()?))
}

pub(super) async fn list(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let wanted = read(params)?;
    let mut places = work::given(own.node, own.who(), |view| {
        let request = view.request.get();
        let right = own.to.is_none_or(|agent| agent == request.to.agent)
            && view.changed_ms >= wanted.since_ms
            && wanted.state.is_none_or(|state| state == task::state(&view.events))
            && wanted
                .context
                .as_ref()
                .is_none_or(|wanted| message::context(&task::note(view), request.task_id) == *wanted);
        right.then_some((Reverse(view.changed_ms), request.task_id))
    })?;
    places.sort_unstable();
    let total = places.len();
    let left: Vec<Place> = places.into_iter().filter(|place| wanted.after.is_none_or(|after| *place > after)).collect();
    let (page, rest) = left.split_at(wanted.page.min(left.len()));
    let next = page.last().filter(|_| !rest.is_empty()).map(|(Reverse(at), task)| format!("{at}.{task}"));
    // One that only its first node follows is caught up with now.
    let views = join_all(page.iter().map(|(_, task)| work::view(own.node, own.who(), *task))).await;
    let tasks: Vec<Value> = views.iter().flatten().map(|view| task::task(own.node, view, wanted.shown)).collect();
    Ok(json!({
        "tasks": tasks, "nextPageToken": next.unwrap_or_default(), "pageSize": wanted.page, "totalSize": total,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_is_refused() {
        for params in [
            json!({ "pageSize": 0 }),
            json!({ "pageSize": 101 }),
            json!({ "pageSize": "many" }),
            json!({ "historyLength": -1 }),
            json!({ "status": "DONE" }),
            json!({ "statusTimestampAfter": "yesterday" }),
            json!({ "pageToken": "7" }),
        ] {
            assert_eq!(read(&params).err().map(|wrong| wrong.what), Some(What::InvalidParams), "{params}");
        }
        let asked =
            json!({ "pageSize": "2", "status": "TASK_STATE_WORKING", "pageToken": format!("7.{}", TaskId([1; 16])) });
        let wanted = read(&asked).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert_eq!((wanted.page, wanted.state), (2, Some(task::WORKING)));
        assert_eq!(wanted.after, Some((Reverse(7), TaskId([1; 16]))));
    }
}
