//! Closes its connections in the callback of spawn_graceful_shutdown_handler, after which the client leaves by itself.
use lambda_runtime::{run, service_fn, spawn_graceful_shutdown_handler, Error, LambdaEvent};
use mysql::{prelude::Queryable, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use serde_json::Value;
use std::env::var;
use std::sync::{Arc, Mutex};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let one = PoolOpts::new().with_constraints(PoolConstraints::new(1, 1).ok_or("one connection")?);
    let options = OptsBuilder::new()
        .ip_or_hostname(var("DB_HOST").ok())
        .tcp_port(var("DB_PORT")?.parse()?)
        .user(var("DB_USER").ok())
        .pass(var("DB_PASSWORD").ok())
        .db_name(var("DB_NAME").ok())
        .pool_opts(one);
    let pool = Arc::new(Mutex::new(Some(Pool::new(options)?)));
    if var("ON_SIGTERM").is_ok() {
        let closed = pool.clone();
        spawn_graceful_shutdown_handler(move || async move { drop(closed.lock().unwrap().take()) }).await;
    }
    run(service_fn(move |_: LambdaEvent<Value>| {
        let pool = pool.clone();
        async move {
            let guard = pool.lock().unwrap();
            let mut connection = guard.as_ref().ok_or("closed")?.get_conn()?;
            let id: Option<u64> = connection.query_first("SELECT CONNECTION_ID()")?;
            Ok::<_, Error>(id)
        }
    }))
    .await
}
