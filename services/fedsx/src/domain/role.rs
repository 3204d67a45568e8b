//! `fedsx log|gateway|projection|delivery`: one role of a domain, for as long as the process runs.

use std::sync::Arc;

use anyhow::Context as _;
use fedsx_runtime::{database, keyring::MasterKey, shutdown, telemetry, token::Role, transport::Incoming};
use tonic::service::Routes;

use super::{
    Flags, Settings, dependencies, follows,
    process::{FLOWS, Process, bind, ended, service_name, url},
    seed, services,
};
use crate::genesis::Bundle;

/// Runs a role until it is told to end.
pub(crate) async fn run(role: Role, flags: &Flags) -> anyhow::Result<()> {
    let mut settings = Settings::load(flags)?;
    let here = needs(role, &settings)?;
    // One name for this life: leases and claims are held by it, and traces show it.
    settings.replica.get_or_insert_with(new_replica);
    let telemetry = telemetry::start(&settings.telemetry(role.as_str()))?;
    let (process, incoming) = Process::new(settings, here);
    let admin = process.serve_admin().await?;
    println!(
        "{} of {}: health and metrics on http://{admin}",
        role.as_str(),
        process.settings.origin
    );
    let signal = shutdown::signal();
    tokio::pin!(signal);
    // A start may wait for a database, and is given up at a signal.
    let stopped = tokio::select! {
        signalled = &mut signal => Some(signalled),
        started = start(role, &process, incoming) => {
            started?;
            None
        }
    };
    let deadline = match stopped {
        Some(signalled) => signalled?,
        None => {
            process.context.readiness.started();
            signal.await?
        }
    };
    println!("stopping");
    let soft = process.stop(deadline).await;
    telemetry.shutdown(deadline);
    ended(soft)
}

/// Checks that the settings have what the role cannot do without.
fn needs(role: Role, settings: &Settings) -> anyhow::Result<&'static [Role]> {
    let missing = |key: &str, what: &str| anyhow::anyhow!("`{key}` is missing: {what}");
    if role != Role::Gateway && settings.database.is_none() {
        return Err(missing("database", "postgres://user:password@host/name"));
    }
    if role == Role::Delivery && settings.broker.is_none() {
        return Err(missing("broker", "amqp://user:password@host/vhost"));
    }
    if matches!(role, Role::Log | Role::Delivery) && settings.master_key.is_none() {
        return Err(missing(
            "master_key",
            "32 bytes in base64, the same for all roles",
        ));
    }
    if role == Role::Log && settings.bundle.is_empty() {
        return Err(missing("bundle", "--bundle blog"));
    }
    Ok(here(role))
}

/// The one service of a role's process.
const fn here(role: Role) -> &'static [Role] {
    match role {
        Role::Projection => &[Role::Projection],
        Role::Delivery => &[Role::Delivery],
        Role::Gateway => &[Role::Gateway],
        _ => &[Role::Log],
    }
}

async fn start(role: Role, process: &Process, incoming: Incoming) -> anyhow::Result<()> {
    if role == Role::Gateway {
        return start_gateway(process).await;
    }
    let settings = &process.settings;
    if let Some(url) = &settings.database {
        database::postgres::wait(url, &process.context.readiness).await?;
    }
    let listener = bind(settings.grpc_listen, "grpc_listen").await?;
    let address = listener.local_addr()?;
    let replica = settings.replica.clone().unwrap_or_default();
    let routes = match role {
        Role::Projection => services::projection(process, replica, Routes::default()).await?,
        Role::Delivery => {
            services::delivery(process, master_key(settings)?, replica, Routes::default()).await?
        }
        _ => services::log(process, master_key(settings)?, Routes::default()).await?,
    };
    process.serve_grpc(routes, services_of(role), listener, incoming)?;
    if role != Role::Log {
        dependencies::watch(process, role)?;
    }
    if role == Role::Log {
        let (bundle, manifest) = Bundle::of_domain(&settings.bundle)?;
        seed::seed(process.own_log(), &settings.origin, &bundle, &manifest).await?;
    }
    if role == Role::Projection && !settings.follows.is_empty() {
        let clients = process.clients(Role::Operator).context("`follows`")?;
        follows::keep(
            &process.context.shutdown,
            &clients,
            &settings.origin,
            &settings.follows,
        );
    }
    println!(
        "{} of {} answers gRPC on {address}",
        role.as_str(),
        settings.origin
    );
    Ok(())
}

async fn start_gateway(process: &Process) -> anyhow::Result<()> {
    let tls = process.settings.listen_tls()?;
    let listener = bind(process.settings.listen, "listen").await?;
    let url = url(listener.local_addr()?, tls.as_ref());
    let router = services::gateway(process).await?;
    process.serve_public(router, listener, tls);
    println!("gateway of {} listens on {url}", process.settings.origin);
    Ok(())
}

const fn services_of(role: Role) -> &'static [&'static str] {
    const PROJECTION: &[&str] = &[service_name(Role::Projection), FLOWS];
    const DELIVERY: &[&str] = &[service_name(Role::Delivery)];
    const LOG: &[&str] = &[service_name(Role::Log)];
    match role {
        Role::Projection => PROJECTION,
        Role::Delivery => DELIVERY,
        _ => LOG,
    }
}

fn master_key(settings: &Settings) -> anyhow::Result<Arc<MasterKey>> {
    let text = settings.master_key.as_deref().unwrap_or_default();
    Ok(Arc::new(MasterKey::parse(text).context("`master_key`")?))
}

/// A name among the role's replicas that no other life has had.
fn new_replica() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{:08x}", host.trim(), rand::random::<u32>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The services of a compose file, as far as they are roles.
    #[derive(serde::Deserialize)]
    struct Compose {
        services: BTreeMap<String, Service>,
    }

    #[derive(serde::Deserialize)]
    struct Service {
        #[serde(default)]
        command: Vec<String>,
        #[serde(default)]
        environment: BTreeMap<String, String>,
    }

    fn role_of(service: &Service) -> Option<Role> {
        let name = service.command.first()?;
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }

    #[test]
    fn the_compose_file_configures_every_role_of_two_domains() {
        let text = include_str!("../../../../deploy/compose.yaml");
        let compose: Compose = serde_saphyr::from_str(text).unwrap();
        let mut started = BTreeMap::new();
        for service in compose.services.values() {
            let Some(role) = role_of(service) else { continue };
            let environment = service.environment.clone().into_iter().collect();
            let settings = Settings::from_environment(&Flags::default(), environment).unwrap();
            needs(role, &settings).unwrap();
            *started.entry(settings.origin.to_string()).or_insert(0) += 1;
        }
        let every = [
            ("http://blog.localhost:8001".to_owned(), 4),
            ("http://events.localhost:8002".to_owned(), 4),
        ];
        assert_eq!(started, BTreeMap::from(every));
    }

    #[test]
    fn what_a_role_cannot_do_without_is_named() {
        let settings = |environment: &[(&str, &str)]| {
            let mut environment: Vec<(String, String)> = environment
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            environment.push(("FEDSX_ORIGIN".to_owned(), "http://127.0.0.1:8001".to_owned()));
            Settings::from_environment(&Flags::default(), environment).unwrap()
        };
        let error = |role, settings: &Settings| needs(role, settings).unwrap_err().to_string();
        assert!(error(Role::Log, &settings(&[])).starts_with("`database` is missing"));
        let database = ("FEDSX_DATABASE", "postgres://127.0.0.1/blog");
        assert!(error(Role::Delivery, &settings(&[database])).starts_with("`broker` is missing"));
        let broker = ("FEDSX_BROKER", "amqp://127.0.0.1/blog");
        assert!(error(Role::Delivery, &settings(&[database, broker])).starts_with("`master_key` is missing"));
        assert!(needs(Role::Projection, &settings(&[database])).is_ok());
        assert!(needs(Role::Gateway, &settings(&[])).is_ok());
    }
}
