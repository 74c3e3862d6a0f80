//! More definitions with a mistake each, as people make them, and what is said about them.

#![allow(clippy::unwrap_used)]

mod telling;

use orrery_compose::Files;
use telling::{of, report, service};

fn bundle(files: &[(&str, &str)]) -> Files {
    files.iter().copied().collect()
}

#[test]
fn how_a_file_is_written() {
    let bomb = (1..9).fold("x-0: &a0 [a, a, a, a, a, a, a, a, a]\n".to_owned(), |text, n| {
        let last = n - 1;
        text + &format!("x-{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 9].join(", "))
    });
    let huge = format!("services:\n  web:\n    image: nginx\n# {}\n", "x".repeat(1 << 20));
    let cases = [
        ("a mark of byte order and a typo", of("\u{feff}services:\n  web:\n    imge: nginx\n")),
        ("line ends of Windows and a typo", of("services:\r\n  web:\r\n    image: nginx\r\n    comand: x\r\n")),
        ("a file in UTF-16", [("compose.yaml", vec![0xff, 0xfe, b's', 0])].into_iter().collect()),
        ("a bomb of aliases", of(bomb + "services:\n  web:\n    image: nginx\n")),
        ("a deep nest", of(format!("x-a: {}1{}\nservices:\n  web:\n    image: nginx\n", "[".repeat(80), "]".repeat(80)))),
        ("a huge file", of(huge)),
        ("an alias inside its own anchor", of("x-a: &a [*a]\nservices: {web: {image: nginx}}\n")),
        ("an item without a space behind its dash", of(service("ports:\n  -80:80"))),
        ("a service not indented", of("services:\nweb:\n  image: nginx\n")),
        ("a key of the service not indented", of("services:\n  web:\n  image: nginx\n")),
        ("a key indented too far", of("services:\n  web:\n    image: nginx\n      tty: true\n")),
        ("an equals sign for a colon", of("services:\n  web:\n    image = nginx\n")),
        ("a value that begins with a brace", of(service("command: {{ .Args }}"))),
        ("a value that begins with a percent sign", of(service("hostname: %host"))),
        ("a second merge key", of("x-a: &a {tty: true}\nservices:\n  web:\n    <<: *a\n    <<: *a\n    image: nginx\n")),
        ("a tag that means nothing", of(service("hostname: !env HOST"))),
        ("the first form of Compose, without services", of("web:\n  image: nginx\n  ports: ['80:80']\n")),
        ("a definition in a folder", bundle(&[("app/compose.yaml", "services: {}\n")])),
        ("two definitions", bundle(&[("compose.yaml", "services: {web: {image: x, prots: []}}\n"), ("docker-compose.yml", "")])),
        ("several mistakes at once", of(service("prots: ['80:80']\ntty: maybe\nmem_limit: lots\nvolumes: ['dta:/x']\ndepends_on: [bd]"))),
    ];
    insta::assert_snapshot!("how_a_file_is_written", report(cases));
}

#[test]
fn what_a_value_may_be() {
    let cases = [
        ("a port out of range", of(service("ports: ['80:70000']"))),
        ("a port in the long form without its target", of(service("ports: [{published: '80'}]"))),
        ("a port with a comma", of(service("ports: ['80,81:80']"))),
        ("an address with a port and no container's port", of(service("ports: ['127.0.0.1:80:']"))),
        ("a duration without a unit in the health check", of(service("healthcheck: {test: x, interval: 30}"))),
        ("a duration with a space", of(service("stop_grace_period: 1m 30s"))),
        ("a size with a comma", of(service("mem_limit: 1,5g"))),
        ("a memory limit of deploy as a number", of(service("deploy: {resources: {limits: {memory: 512}}}"))),
        ("processors in percent", of(service("cpus: 50%"))),
        ("replicas in words", of(service("deploy: {replicas: two}"))),
        ("a name with a space", of("services:\n  my web:\n    image: nginx\n")),
        ("an environment as one text", of(service("environment: A=1"))),
        ("an environment of mappings", of(service("environment:\n  A: {b: c}"))),
        ("spaces around the equals sign", of(service("environment:\n  - A = 1"))),
        ("a volume without a target", of(service("volumes: ['./data:']"))),
        ("a volume with too many parts", of(service("volumes: ['a:/b:ro:z']"))),
        ("a volume whose target is not absolute", of(service("volumes: ['./data:var/lib']"))),
        ("a volume of an unknown type", of(service("volumes: [{type: bnd, source: ./a, target: /b}]"))),
        ("a volume without a type", of(service("volumes: [{source: ./a, target: /b}]"))),
        ("options of a volume that nobody knows", of(service("volumes: ['./a:/b:readonly']"))),
        ("an extra host without an address", of(service("extra_hosts: [db]"))),
        ("a limit that is half there", of(service("ulimits: {nofile: {soft: 10}}"))),
        ("a dependency without a condition", of(service("depends_on: {db: {restart: true}}") + "  db: {image: x}\n")),
        ("a device with too many parts", of(service("devices: ['a:b:c:d']"))),
        ("a policy of pulling that is none", of(service("pull_policy: sometimes"))),
        ("a restart policy that is none", of(service("restart: allways"))),
        ("a network's priority in quotes", of(service("networks: {default: {priority: '5'}}"))),
        ("a network twice", of(service("networks: [a, a]") + "networks: {a: }\n")),
        ("a secret with two sources", of(service("secrets: [s]") + "secrets: {s: {file: ./a, environment: B}}\n")),
        ("a config without a source", of(service("configs: [c]") + "configs: {c: {name: x}}\n")),
        ("a subnet that is none", of(service("") + "networks: {default: {ipam: {config: [{subnet: 10.0.0.0/40}]}}}\n")),
        ("an unclosed quote in a command", of(service("command: echo 'hello"))),
        ("an unknown variable form", of(service("image: ${TAG:=latest}"))),
        ("a variable that is not closed", of(service("hostname: ${HOST"))),
    ];
    insta::assert_snapshot!("what_a_value_may_be", report(cases));
}

#[test]
fn over_several_files_and_places() {
    let web = "services:\n  web:\n    image: nginx\n";
    let cases = [
        (
            "a mistake in an override file",
            bundle(&[("compose.yaml", web), ("compose.override.yaml", "services:\n  web:\n    prots: []\n")]),
        ),
        (
            "a form that differs in an override file",
            bundle(&[
                ("compose.yaml", "services:\n  web:\n    image: nginx\n    cap_add: [A]\n"),
                ("compose.override.yaml", "services:\n  web:\n    cap_add: A\n"),
            ]),
        ),
        (
            "a mistake in an included file",
            bundle(&[("compose.yaml", "include: [sub/db.yaml]\n"), ("sub/db.yaml", "services:\n  db:\n    imag: x\n")]),
        ),
        (
            "an included service that is there already",
            bundle(&[("compose.yaml", "include: [db.yaml]\nservices:\n  db: {image: a}\n"), ("db.yaml", "services:\n  db: {image: b}\n")]),
        ),
        ("an include that includes itself", bundle(&[("compose.yaml", "include: [a.yaml]\n"), ("a.yaml", "include: [compose.yaml]\n")])),
        (
            "a mistake in an extended file",
            bundle(&[
                ("compose.yaml", "services:\n  web:\n    extends: {file: base.yaml, service: base}\n"),
                ("base.yaml", "services:\n  base:\n    image: x\n    enviroment: {A: b}\n"),
            ]),
        ),
        ("extending outside the bundle", of("services:\n  web:\n    extends: {file: ../base.yaml, service: base}\n")),
        ("a circle of extends", of("services:\n  a: {extends: b}\n  b: {extends: a}\n")),
        (
            "a mistake under an anchor, used twice",
            of("x-c: &c\n  restrat: always\nservices:\n  a:\n    <<: *c\n    image: x\n  b:\n    <<: *c\n    image: y\n"),
        ),
        (
            "a variable in an env file that is not closed",
            bundle(&[("compose.yaml", &service("env_file: a.env")), ("a.env", "A=1\nB=${C\n")]),
        ),
        ("a line of an env file without a name", bundle(&[("compose.yaml", &service("env_file: a.env")), ("a.env", "A=1\n!B=2\n")])),
        ("a quote in .env that is not closed", bundle(&[("compose.yaml", web), (".env", "A=1\nB=\"x\n")])),
        ("a profile that nobody has", bundle(&[("compose.yaml", web), (".env", "COMPOSE_PROFILES=debug\n")])),
        ("a link to nobody", of(service("links: [db]"))),
        ("a network mode of an unknown service", of(service("network_mode: service:db"))),
        ("network_mode beside networks", of(service("network_mode: host\nnetworks: [default]"))),
        ("a service that depends on itself", of(service("depends_on: [web]"))),
        (
            "a circle of three",
            of("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, depends_on: [a]}\n"),
        ),
        ("a config file outside the bundle", of(service("configs: [c]") + "configs: {c: {file: ../c.txt}}\n")),
        ("a folder of the host by PWD", of(service("volumes: ['${PWD}/data:/data']"))),
        ("an old external network", of(service("networks: [n]") + "networks: {n: {external: {name: proxy}}}\n")),
        ("a home folder", of(service("volumes: ['~/data:/data']"))),
        ("a path of Windows", of(service("volumes: ['C:\\data:/data']"))),
    ];
    insta::assert_snapshot!("over_several_files_and_places", report(cases));
}
