//! Definitions with a mistake each, and what is said about them: line, mark and advice, as one
//! text that a person can judge.

#![allow(clippy::unwrap_used)]

mod telling;

use telling::{of, report, service};

#[test]
fn broken_yaml_is_explained() {
    let cases = [
        ("nothing at all", of("")),
        ("a list", of("- a\n- b\n")),
        ("a tab", of("services:\n  web:\n\timage: nginx\n")),
        ("a key indented wrongly", of("services:\n  web:\n    image: nginx\n   ports: [80]\n")),
        ("a colon in a value", of("services:\n  web:\n    image: nginx: latest\n")),
        ("a quote left open", of("services:\n  web:\n    image: \"nginx\n    tty: true\n")),
        ("a bracket left open", of("services:\n  web:\n    command: [a, b\n    image: x\n")),
        ("a key without a colon", of("services:\n  web:\n    image nginx\n    tty: true\n")),
        ("an unknown alias", of("services:\n  web:\n    <<: *defaults\n    image: nginx\n")),
        ("a key twice", of("services:\n  web:\n    image: a\n    image: b\n")),
        ("a number as a key", of("services:\n  web:\n    image: a\n    environment:\n      8080: x\n")),
        ("a merge of a text", of("services:\n  web:\n    <<: defaults\n    image: a\n")),
        ("a byte that is not UTF-8", [("compose.yaml", b"services:\n  web:\n    image: \xff\n".to_vec())].into_iter().collect()),
        ("an at sign", of("services:\n  web:\n    image: @nginx\n")),
    ];
    insta::assert_snapshot!("broken_yaml", report(cases));
}

#[test]
fn keys_and_values_of_the_wrong_kind_are_explained() {
    let cases = [
        ("an unknown key", of(service("prots:\n  - 80:80"))),
        ("a key of a service at the top", of("services: {web: {image: nginx}}\nports: [80]\n")),
        ("a key of the top in a service", of(service("services: {}"))),
        ("an unknown key deep down", of(service("deploy:\n  resources:\n    limits:\n      mem: 64m"))),
        ("a number for a text", of(service("hostname: 5"))),
        ("a text for a list", of(service("ports: 80:80"))),
        ("a list for a mapping", of("services:\n- web\n")),
        ("nothing for a list", of(service("ports:"))),
        ("a time without a unit", of(service("stop_grace_period: 10"))),
        ("a size that is none", of(service("mem_limit: lots"))),
        ("a truth value that is none", of(service("tty: maybe"))),
        ("a choice that is none", of(service("depends_on:\n  db:\n    condition: service_helthy"))),
        ("a variable written with a colon in a list", of(service("environment:\n  - MODE: fast"))),
        ("values that are not what they seem", of(service("environment:\n  MASK: 0755\n  RATE: 1e3\n  VERSION: 1.10\n  DAY: 2024-01-15"))),
        ("a command that no shell reads", of(service("command: migrate && serve"))),
        ("a health check without its word", of(service("healthcheck:\n  test: [curl, -f, localhost]"))),
    ];
    insta::assert_snapshot!("wrong_kinds", report(cases));
}

#[test]
fn what_does_not_fit_together_is_explained() {
    let two = |a: &str, b: &str| of(format!("services:\n  a: {{image: x, {a}}}\n  b: {{image: x, {b}}}\n"));
    let cases = [
        ("an unknown volume", of(service("volumes:\n  - dta:/var/lib\n") + "volumes:\n  data:\n")),
        ("an unknown network", of(service("networks: [backend]"))),
        ("an unknown secret", of(service("secrets: [password]"))),
        ("an unknown dependency", two("depends_on: [bb]", "tty: true")),
        ("a circle", two("depends_on: [b]", "depends_on: [a]")),
        ("a dependency that no profile enables", two("depends_on: [b]", "profiles: [debug]")),
        ("a port twice", two("ports: ['80:80']", "ports: ['127.0.0.1:80:8080']")),
        ("a name for two containers", of(service("container_name: web\nscale: 2"))),
        ("a port for two containers", of(service("ports: ['80:80']\nscale: 2"))),
        ("a port that is none", of(service("ports:\n  - 80:eighty\n  - 70000:80\n  - 80-90:80-85\n  - 80/tpc"))),
        ("no image", of("services:\n  web:\n    tty: true\n")),
        ("a mount twice", of(service("volumes: [./a:/x]\ntmpfs: /x"))),
        ("limits that differ", of(service("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}"))),
        ("a required variable", of(service("environment:\n  A: ${DB_PASSWORD:?set it}\n  B: ${UNSET}\n  C: ${bad-"))),
        ("an unknown service to extend", of(service("extends: wbe"))),
        ("a volume with a short name", of(service("volumes: ['v:/data']") + "volumes:\n  v:\n")),
        ("an unreachable address", of(service("networks: {default: {ipv4_address: 10.0.0.300}}"))),
    ];
    insta::assert_snapshot!("misfits", report(cases));
}

#[test]
fn what_leaves_the_bundle_or_is_not_supported_is_refused() {
    let with = |text: String, files: &[&str]| {
        let mut all = of(text);
        files.iter().for_each(|file| all.insert(file, "x"));
        all
    };
    let cases = [
        (
            "binds",
            with(
                service("volumes: ['../up:/a', './site:/b', './data:/c', '/srv:/d', '~/x:/e', './nginx.cnf:/f']"),
                &["site/index.html", "nginx.conf"],
            ),
        ),
        ("an env file outside", of(service("env_file: ../secret.env"))),
        ("an env file with another name", with(service("env_file: web.env"), &["wbe.env"])),
        ("a build of the host", of(service("build: /srv/app"))),
        ("a build from elsewhere", of(service("build: https://example.com/app.git"))),
        ("a Dockerfile that is not there", with(service("build: ./app"), &["app/dockerfile"])),
        ("an include from elsewhere", of("include: [oci://example.com/x]\nservices: {web: {image: x}}\n")),
        ("an include that is not there", with("include: [db.yml]\nservices: {web: {image: x}}\n".to_owned(), &["db.yaml"])),
        ("a config of Swarm", of(service("configs: [s]") + "configs: {s: {external: true}}\n")),
        ("keys that Orrery refuses", of(service("post_start: [{command: x}]\nuse_api_socket: true\nexternal_links: [other]"))),
        (
            "keys without effect",
            of("version: '3'\nname: mine\n".to_owned()
                + &service("deploy: {labels: {a: b}, placement: {constraints: [x]}}\nattach: false")),
        ),
        ("a mode of Swarm", of(service("deploy: {mode: global}"))),
        (
            "a password in clear",
            of(service(
                "environment: {POSTGRES_PASSWORD: hunter2, API_TOKEN: '', GITHUB_TOKEN: 'secret://github', KEY_FILE: /run/secrets/key}",
            )),
        ),
    ];
    insta::assert_snapshot!("refusals", report(cases));
}
