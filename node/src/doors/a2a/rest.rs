//! The HTTP+JSON binding: which operation a method and a path below an agent's URL mean.

use super::wrong::{What, Wrong};
use serde_json::{Map, Value};

/// An operation by its name, with its parameters.
pub type Operation = (&'static str, Value);

/// Reads a request. `path` is what follows the agent's URL and a slash; `body` is the JSON of a POST.
///
/// # Errors
/// For a path or method that means nothing.
pub fn read(verb: &str, path: &str, query: &[(String, String)], body: Option<Value>) -> Result<Operation, Wrong> {
    let segments: Vec<&str> = path.split('/').collect();
    let unknown = || Wrong::new(What::MethodNotFound, format!("nothing is at {verb} {path}"));
    let body = || body.clone().unwrap_or_else(|| Value::Object(Map::new()));
    let mut params = match verb {
        "POST" => body(),
        _ => Value::Object(query.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()),
    };
    if !params.is_object() {
        return Err(Wrong::new(What::InvalidRequest, "the body is no object"));
    }
    let name = match (verb, &segments[..]) {
        ("POST", ["message:send"]) => "SendMessage",
        ("POST", ["message:stream"]) => "SendStreamingMessage",
        ("GET", ["extendedAgentCard"]) => "GetExtendedAgentCard",
        ("GET", ["tasks"]) => "ListTasks",
        (verb, ["tasks", task]) => {
            let (task, operation) = match (verb, task.split_once(':')) {
                ("GET", None) => (*task, "GetTask"),
                ("POST", Some((task, "cancel"))) => (task, "CancelTask"),
                ("GET" | "POST", Some((task, "subscribe"))) => (task, "SubscribeToTask"),
                _ => return Err(unknown()),
            };
            params["id"] = task.into();
            operation
        }
        (verb, ["tasks", task, "pushNotificationConfigs", rest @ ..]) => {
            params["taskId"] = (*task).into();
            match (verb, rest) {
                ("POST", []) => "CreateTaskPushNotificationConfig",
                ("GET", []) => "ListTaskPushNotificationConfigs",
                (verb @ ("GET" | "DELETE"), [config]) => {
                    params["id"] = (*config).into();
                    if verb == "GET" { "GetTaskPushNotificationConfig" } else { "DeleteTaskPushNotificationConfig" }
                }
                _ => return Err(unknown()),
            }
        }
        _ => return Err(unknown()),
    };
    Ok((name, params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_path_of_the_binding_is_an_operation() {
        let query = [("pageSize".to_owned(), "3".to_owned())];
        let of = |verb, path| read(verb, path, &query, Some(json!({ "url": "u" }))).map_err(|wrong| wrong.what);
        for (verb, path, name, params) in [
            ("POST", "message:send", "SendMessage", json!({ "url": "u" })),
            ("POST", "message:stream", "SendStreamingMessage", json!({ "url": "u" })),
            ("GET", "tasks", "ListTasks", json!({ "pageSize": "3" })),
            ("GET", "tasks/t", "GetTask", json!({ "pageSize": "3", "id": "t" })),
            ("POST", "tasks/t:cancel", "CancelTask", json!({ "url": "u", "id": "t" })),
            ("POST", "tasks/t:subscribe", "SubscribeToTask", json!({ "url": "u", "id": "t" })),
            ("GET", "tasks/t:subscribe", "SubscribeToTask", json!({ "pageSize": "3", "id": "t" })),
            ("GET", "extendedAgentCard", "GetExtendedAgentCard", json!({ "pageSize": "3" })),
        ] {
            assert_eq!(of(verb, path), Ok((name, params)), "{verb} {path}");
        }
        let configs = "tasks/t/pushNotificationConfigs";
        let one = "tasks/t/pushNotificationConfigs/c";
        for (verb, path, name) in [
            ("POST", configs, "CreateTaskPushNotificationConfig"),
            ("GET", configs, "ListTaskPushNotificationConfigs"),
            ("GET", one, "GetTaskPushNotificationConfig"),
            ("DELETE", one, "DeleteTaskPushNotificationConfig"),
        ] {
            let (found, params) = of(verb, path).unwrap();
            assert_eq!((found, &params["taskId"]), (name, &json!("t")), "{verb} {path}");
        }
        for (verb, path) in [("GET", "message:send"), ("POST", "tasks/t"), ("GET", "tasks/t:cancel"), ("GET", "x")] {
            assert_eq!(of(verb, path), Err(What::MethodNotFound), "{verb} {path}");
        }
        assert_eq!(read("POST", "message:send", &[], Some(json!([]))).unwrap_err().what, What::InvalidRequest);
    }
}
