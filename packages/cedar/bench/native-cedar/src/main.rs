//! The official Cedar crate on one workload, inside one process: commands are JSON lines on stdin, answers JSON lines
//! on stdout. The protocol is described in `engines/program.ts`.
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request,
    Response, Schema,
};
use serde_json::{json, Value};
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

const SINGLES_MAX: usize = 20_000;
const BATCH_DECISIONS: usize = 1_000;
const BATCH_NS: usize = 500_000;
const SLOW_TURN: Duration = Duration::from_millis(50);

fn main() {
    let mut bench: Option<Bench> = None;
    for line in std::io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line.expect("a line")).expect("a command");
        let answer = match command["op"].as_str() {
            Some("load") => {
                let started = Instant::now();
                bench = Some(Bench::load(command["path"].as_str().expect("a path")));
                json!({ "loadMs": started.elapsed().as_secs_f64() * 1e3 })
            }
            Some("answers") => bench.as_ref().expect("a loaded workload").answers(),
            Some("measure") => bench.as_ref().expect("a loaded workload").measure(
                command["mode"].as_str().expect("a mode"),
                Duration::from_secs_f64(command["seconds"].as_f64().expect("seconds")),
            ),
            _ => json!({ "error": format!("could not obey: found {command}") }),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("a reader");
    }
}

struct Bench {
    authorizer: Authorizer,
    schema: Schema,
    policies: PolicySet,
    worlds: Vec<Entities>,
    questions: Vec<Question>,
}

/// A request three times: ready, as JSON values, as JSON text.
struct Question {
    world: usize,
    ready: Request,
    request: Value,
    entities: Value,
    request_text: String,
    entities_text: String,
}

impl Bench {
    fn load(path: &str) -> Self {
        let text = std::fs::read_to_string(path).expect("a workload");
        let workload: Value = serde_json::from_str(&text).expect("a workload");
        let (schema, _) =
            Schema::from_cedarschema_str(workload["schema"].as_str().expect("a schema"))
                .expect("a schema that parses");
        let mut policies = PolicySet::new();
        for policy in workload["policies"].as_array().expect("policies") {
            let id = PolicyId::new(policy["id"].as_str().expect("an id"));
            let parsed = Policy::parse(Some(id), policy["text"].as_str().expect("a text"))
                .expect("a policy that parses");
            policies.add(parsed).expect("ids that differ");
        }
        let mut worlds = Vec::new();
        let mut questions = Vec::new();
        for world in workload["worlds"].as_array().expect("worlds") {
            worlds.push(entities_from(world["entities"].clone(), &schema));
            for question in world["questions"].as_array().expect("questions") {
                let request = question["request"].clone();
                let entities = question["entities"].clone();
                questions.push(Question {
                    world: worlds.len() - 1,
                    ready: request_from(request.clone(), &schema),
                    request_text: request.to_string(),
                    entities_text: entities.to_string(),
                    request,
                    entities,
                });
            }
        }
        Self {
            authorizer: Authorizer::new(),
            schema,
            policies,
            worlds,
            questions,
        }
    }

    fn answers(&self) -> Value {
        let answers: Vec<Value> = self
            .questions
            .iter()
            .map(|question| {
                let response = self.decide(&question.ready, &self.worlds[question.world]);
                let mut reasons: Vec<String> =
                    response.diagnostics().reason().map(|id| id.to_string()).collect();
                reasons.sort();
                json!({
                    "decision": if response.decision() == Decision::Allow { "allow" } else { "deny" },
                    "reasons": reasons,
                    "errors": response.diagnostics().errors().count(),
                })
            })
            .collect();
        json!({ "answers": answers })
    }

    fn measure(&self, mode: &str, duration: Duration) -> Value {
        match mode {
            "parsed" => self.sample(
                duration,
                |_| (),
                |question, ()| self.decide(&question.ready, &self.worlds[question.world]),
            ),
            "context" => self.sample(
                duration,
                |question| question.request.clone(),
                |question, request| {
                    let request = request_from(request, &self.schema);
                    self.decide(&request, &self.worlds[question.world])
                },
            ),
            "objects" => self.sample(
                duration,
                |question| (question.request.clone(), question.entities.clone()),
                |_, (request, entities)| {
                    let request = request_from(request, &self.schema);
                    self.decide(&request, &entities_from(entities, &self.schema))
                },
            ),
            "text" => self.sample(
                duration,
                |_| (),
                |question, ()| {
                    let request = serde_json::from_str(&question.request_text).expect("JSON");
                    let entities =
                        Entities::from_json_str(&question.entities_text, Some(&self.schema))
                            .expect("entities that fit");
                    self.decide(&request_from(request, &self.schema), &entities)
                },
            ),
            other => json!({ "error": format!("could not measure: found mode '{other}'") }),
        }
    }

    fn decide(&self, request: &Request, entities: &Entities) -> Response {
        self.authorizer
            .is_authorized(request, &self.policies, entities)
    }

    /// What `prepare` makes is outside of the measured time: the crate takes JSON values by ownership.
    fn sample<T>(
        &self,
        duration: Duration,
        prepare: impl Fn(&Question) -> T,
        decide: impl Fn(&Question, T) -> Response,
    ) -> Value {
        let count = self.questions.len();
        let at = |index: usize| &self.questions[index % count];
        let turn = || {
            for question in &self.questions {
                black_box(decide(question, prepare(question)));
            }
        };
        let started = Instant::now();
        turn();
        let is_slow = started.elapsed() > SLOW_TURN;

        let mut batch_ns: Vec<f64> = Vec::new();
        let mut single_ns: Vec<f64> = Vec::new();
        let overhead = clock_overhead_ns();
        let mut single_turn = |single_ns: &mut Vec<f64>| {
            let mut sum = 0.0;
            for question in &self.questions {
                let input = prepare(black_box(question));
                let start = Instant::now();
                let response = black_box(decide(question, input));
                let elapsed = (start.elapsed().as_nanos() as f64 - overhead).max(0.0);
                drop(response);
                single_ns.push(elapsed);
                sum += elapsed;
            }
            sum / count as f64
        };
        let started = Instant::now();
        if is_slow {
            // Beside such decisions reading the clock is nothing: each turn is a batch of singles.
            while batch_ns.is_empty() || started.elapsed() < duration {
                batch_ns.push(single_turn(&mut single_ns));
            }
            return json!({ "batchNs": batch_ns, "singleNs": single_ns });
        }

        turn();
        // Whole turns, so that all batches hold the same questions.
        let turns = (BATCH_NS / (started.elapsed().as_nanos() as usize).max(1))
            .clamp(1, BATCH_DECISIONS.div_ceil(count));
        let batch = turns * count;
        while batch_ns.is_empty() || started.elapsed() < duration.mul_f64(0.6) {
            let prepared: Vec<T> = (0..batch).map(|index| prepare(at(index))).collect();
            let start = Instant::now();
            for (index, input) in prepared.into_iter().enumerate() {
                black_box(decide(black_box(at(index)), input));
            }
            batch_ns.push(start.elapsed().as_nanos() as f64 / batch as f64);
        }
        while single_ns.is_empty()
            || (single_ns.len() < SINGLES_MAX && started.elapsed() < duration)
        {
            single_turn(&mut single_ns);
        }
        json!({ "batchNs": batch_ns, "singleNs": single_ns })
    }
}

fn entities_from(value: Value, schema: &Schema) -> Entities {
    Entities::from_json_value(value, Some(schema)).expect("entities that fit the schema")
}

fn request_from(mut value: Value, schema: &Schema) -> Request {
    let context = value["context"].take();
    let mut uid = |name: &str| EntityUid::from_json(value[name].take()).expect("a uid");
    let (principal, action, resource) = (uid("principal"), uid("action"), uid("resource"));
    let context = Context::from_json_value(context, Some((schema, &action)))
        .expect("a context that fits the schema");
    Request::new(principal, action, resource, context, Some(schema))
        .expect("a request that fits the schema")
}

/// The median of what two readings of the clock are apart when nothing is between them.
fn clock_overhead_ns() -> f64 {
    let mut apart: Vec<u128> = (0..1_001)
        .map(|_| Instant::now().elapsed().as_nanos())
        .collect();
    apart.sort_unstable();
    apart[500] as f64
}
