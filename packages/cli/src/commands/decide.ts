import { createCedarEngine } from '@countersign/cedar';
import { checkRepository } from '@countersign/policy';
import { type Arguments, type Command, CommandError, EXIT, type Io, UsageError } from '../command-line/command.ts';
import { requestOf } from '../decide/ask.ts';
import { decideRecorded } from '../decide/decide-recorded.ts';
import { explain } from '../decide/explain.ts';
import { repositoryDecisionPoint } from '../decide/repository-decision-point.ts';
import { problemText } from './check.ts';
import { dataOf, print, repositoryOf, shared } from './options.ts';

/** `countersign decide` */
export const decideCommand: Command = {
  name: 'decide',
  summary: 'make one decision and explain it: a question of yours, or a recorded one again',
  description:
    'Asks the policies of a repository, offline, with the facts that the repository states (registrations, entities). With --event a\ndecision from the logs of a data folder is made again, under the policy version and the facts that it names.\nExit code 0 for a permit (or the same answer again), 1 for anything else.',
  options: {
    repository: shared.repository,
    subject: { type: 'string', value: 'ID', help: 'in whose name: partner/ledgerly, or a SPIFFE ID' },
    caller: { type: 'string', value: 'ID', help: 'the workload on the line, at an inner hop' },
    surface: { type: 'string', value: 'NAME', help: 'the protect surface' },
    action: { type: 'string', value: 'OPERATION', help: 'an operationId of the surface' },
    param: { type: 'string', multiple: true, value: 'NAME=VALUE', help: 'a path parameter; repeat for each' },
    scope: { type: 'string', multiple: true, value: 'SCOPE', help: 'a scope of the token; repeat for each' },
    proof: { type: 'string', value: 'HOW', help: 'key proof: none, mtls, dpop (default mtls)' },
    transaction: { type: 'string', value: 'ID', help: 'the workload where the transaction came in' },
    acr: { type: 'string', value: 'ACR', help: 'authentication context class of the session' },
    ip: { type: 'string', value: 'ADDRESS', help: "the peer's address (default 127.0.0.1)" },
    risk: { type: 'string', value: 'LEVEL', help: 'assume LOW, MEDIUM or HIGH (default: unknown)' },
    event: { type: 'string', value: 'EVENT-ID', help: 'make this recorded decision again' },
    data: shared.data,
    json: shared.json,
  },
  examples: [
    'countersign decide --subject partner/ledgerly --surface accounts --action GetAccount --param AccountId=22289 --scope accounts',
    'countersign decide --event 4fzq… --data data',
  ],
  async run(args, io) {
    const event = args.text('event');
    return event === undefined ? await decideTyped(args, io) : await decideEvent(event, args, io);
  },
};

async function decideTyped(args: Arguments, io: Io): Promise<number> {
  const engine = createCedarEngine();
  try {
    const { repository, problems } = await checkRepository(repositoryOf(args, io), { engine, now: io.now });
    if (!repository) {
      io.err(`${problems.map(problemText).join('\n')}\n`);
      throw new CommandError('cannot decide: the repository has errors');
    }
    const need = (name: string): string => {
      const value = args.text(name);
      if (value === undefined) throw new UsageError(`found no --${name}, expected one`);
      return value;
    };
    const optional = (name: string): Record<string, string> => {
      const value = args.text(name);
      return value === undefined ? {} : { [name]: value };
    };
    const request = requestOf(
      {
        subject: need('subject'),
        surface: need('surface'),
        action: need('action'),
        parameters: args.texts('param'),
        scopes: args.texts('scope'),
        keyProof: args.text('proof') ?? 'mtls',
        ...optional('caller'),
        ...optional('transaction'),
        ...optional('ip'),
        ...optional('acr'),
      },
      repository,
      io.now(),
    );
    const level = args.text('risk');
    if (level !== undefined && level !== 'LOW' && level !== 'MEDIUM' && level !== 'HIGH') {
      throw new UsageError(`found risk '${level}', expected LOW, MEDIUM or HIGH`);
    }
    const point = await repositoryDecisionPoint(repository, {
      engine,
      now: io.now,
      risks: level ? [{ subject: request.subject.id, level }] : [],
    });
    const operation = repository.surfaces
      .find(({ name }) => name === request.surface)
      ?.operations.find(({ id }) => id === request.action);
    const missing = operation?.scopes.filter((scope) => !request.scopes.includes(scope)) ?? [];
    const decided = point.decide(request);
    // An enforcement point asks for the operation's scopes before it asks the policies.
    const decision =
      missing.length > 0
        ? { ...decided, effect: 'deny' as const, reason: 'scope-insufficient' as const, policies: [] }
        : decided;
    const { bundle } = point;
    if (!bundle) throw new CommandError('cannot decide: no bundle');
    const context = point.cedarContext(request);
    print(io, args, { request, decision, context, missingScopes: missing }, explain(request, decision, { bundle, context }));
    return decision.effect === 'permit' ? EXIT.ok : EXIT.negative;
  } finally {
    await engine.close();
  }
}

async function decideEvent(id: string, args: Arguments, io: Io): Promise<number> {
  const engine = createCedarEngine();
  try {
    const { event, again, isSame } = await decideRecorded(id, { dataRoot: dataOf(args, io), engine });
    const was = `${event.effect} ${event.reason}`;
    const text = [
      isSame ? 'SAME' : 'DIFFERENT',
      '',
      `  event     ${event.id} in ${event.origin} at ${event.seq}, ${new Date(event.at).toISOString()}`,
      `  recorded  ${was}  ${(event.policies ?? []).join(', ')}`,
      `  again     ${again.effect} ${again.reason}  ${again.policies.join(', ')}`,
      `  under     policy ${event.policyVersion}, facts ${event.factSequence}`,
    ].join('\n');
    print(io, args, { same: isSame, event, again }, text);
    return isSame ? EXIT.ok : EXIT.negative;
  } finally {
    await engine.close();
  }
}
