//! `fedsx-test-servers`: a command with servers around it.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Prints the addresses, then does as it is told.
fn start(script: &str) -> (Child, Vec<SocketAddr>, BufReader<std::process::ChildStdout>) {
    let addresses = r#"for url in "$FEDSX_TEST_POSTGRES" "$FEDSX_TEST_RABBITMQ" "$FEDSX_TEST_RABBITMQ_API"; do echo "$url"; done"#;
    let mut servers = Command::new(env!("CARGO_BIN_EXE_fedsx-test-servers"))
        .args(["--", "sh", "-c", &format!("{addresses}; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(servers.stdout.take().unwrap());
    let mut address = || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        // postgres://postgres@<address>/postgres, amqp://guest:guest@<address>
        let address = line.trim().rsplit_once('@').unwrap().1.split('/').next().unwrap();
        address.parse().unwrap()
    };
    let addresses = vec![address(), address(), address()];
    (servers, addresses, output)
}

fn listens(address: &SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[test]
fn the_servers_end_with_the_command_and_its_code_is_told() {
    let (mut servers, addresses, mut output) = start("read -r line; exit 7");
    drop(servers.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(servers.wait().unwrap().code(), Some(7), "{rest}");
    assert!(!addresses.iter().any(listens));
}

#[test]
fn who_ends_it_ends_the_command_and_the_servers() {
    // The grandchild would hold the output open.
    let (mut servers, addresses, mut output) = start("sh -c 'sleep 600; true'; true");
    assert!(addresses.iter().all(listens));
    let kill = Command::new("sh")
        .args(["-c", "kill -s TERM \"$0\"", &servers.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(servers.wait().unwrap().code(), Some(128 + 15), "{rest}");
    assert!(!addresses.iter().any(listens));
}

#[test]
fn even_who_kills_it_leaves_no_server_behind() {
    let (mut servers, addresses, output) = start("read -r line");
    let stdin = servers.stdin.take();
    servers.kill().unwrap();
    servers.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while addresses.iter().any(listens) {
        assert!(Instant::now() < end, "a server is left");
        std::thread::yield_now();
    }
    // The command itself ends here.
    drop((stdin, output));
}
