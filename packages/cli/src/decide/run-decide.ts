import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { type AccessRequest, POSTURE_SIGNALS } from '@countersign/model';
import {
  type AssumedDevice,
  checkRepository,
  type Repository,
  readSubjectEntity,
} from '@countersign/policy';
import { problemText } from '../check/problem-text.ts';
import {
  type Arguments,
  CommandError,
  EXIT,
  type Io,
  UsageError,
} from '../command-line/command.ts';
import { readInput } from '../command-line/read-input.ts';
import { oneOf } from '../command-line/words.ts';
import { dataOf, print, repositoryOf } from '../commands/options.ts';
import { requestOf, type TypedQuestion } from './ask.ts';
import { assumedDevice } from './assumed-device.ts';
import { decideRecorded } from './decide-recorded.ts';
import { explain } from './explain.ts';
import { repositoryDecisionPoint } from './repository-decision-point.ts';

/** Decides what was typed, or a recorded event again, and explains. */
export async function runDecide(args: Arguments, io: Io): Promise<number> {
  const event = args.text('event');
  return event === undefined ? await decideTyped(args, io) : await decideEvent(event, args, io);
}

async function decideTyped(args: Arguments, io: Io): Promise<number> {
  const need = (name: string): string => {
    const value = args.text(name);
    if (value === undefined) throw new UsageError(`found no --${name}, expected one`);
    return value;
  };
  const optional = (name: string): Record<string, string> => {
    const value = args.text(name);
    return value === undefined ? {} : { [name]: value };
  };
  const question: TypedQuestion = {
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
    ...optional('device'),
  };
  if (args.texts('posture').length > 0 && question.device === undefined) {
    throw new UsageError('found --posture without --device, expected both');
  }
  const level = args.text('risk');
  if (level !== undefined && level !== 'LOW' && level !== 'MEDIUM' && level !== 'HIGH') {
    throw new UsageError(`found risk '${level}', expected LOW, MEDIUM or HIGH`);
  }
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const { repository, problems } = await checkRepository(repositoryOf(args, io), {
      engine,
      now: io.now,
    });
    if (!repository) {
      io.err(`${problems.map(problemText).join('\n')}\n`);
      throw new CommandError('cannot decide: the repository has errors');
    }
    const request = await withCustomer(requestOf(question, repository, io.now()), {
      args,
      io,
      repository,
    });
    const point = await repositoryDecisionPoint(repository, {
      engine,
      now: io.now,
      facts: request.device
        ? [assumedDevice(request.device.subject.id, deviceOf(args), request.timeMs)]
        : [],
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
        ? {
            ...decided,
            effect: 'deny' as const,
            reason: 'scope-insufficient' as const,
            policies: [],
          }
        : decided;
    const { bundle } = point;
    if (!bundle) throw new CommandError('cannot decide: no bundle');
    const context = point.cedarContext(request);
    print(
      io,
      args,
      { request, decision, context, missingScopes: missing },
      explain(request, decision, { bundle, context }),
    );
    return decision.effect === 'permit' ? EXIT.ok : EXIT.negative;
  } finally {
    await engine.close();
  }
}

/** What the token of a customer is assumed to vouch: `--customer FILE`. */
async function withCustomer(
  request: AccessRequest,
  { args, io, repository }: { args: Arguments; io: Io; repository: Repository },
): Promise<AccessRequest> {
  const file = args.text('customer');
  if (file === undefined) return request;
  const text = await readInput(file, io.cwd);
  let written: unknown;
  try {
    written = JSON.parse(text);
  } catch {
    throw new UsageError(
      `found no JSON in --customer ${file}, expected {"attributes": {…}, "parents": […]}`,
    );
  }
  const read = readSubjectEntity(written, { spiffeId: request.subject.id, repository });
  if ('entity' in read) return { ...request, subjectEntity: read.entity };
  const { path, found, expected } = read.fault;
  const where = path === '' ? '' : ` at ${path}`;
  throw new UsageError(`found ${found}${where} with --customer ${file}, expected ${expected}`);
}

/** What is assumed of the device: `--posture diskEncrypted=true`; what is not said is unknown. */
function deviceOf(args: Arguments): AssumedDevice {
  const posture = args.texts('posture').map((text) => {
    const [, name = '', value] = /^([A-Za-z]+)=(true|false)$/.exec(text) ?? [];
    if (value === undefined) {
      throw new UsageError(`found --posture '${text}', expected SIGNAL=true or SIGNAL=false`);
    }
    return [oneOf('signal', name, POSTURE_SIGNALS), value === 'true'] as const;
  });
  return { ownership: 'corporate', posture: Object.fromEntries(posture) };
}

async function decideEvent(id: string, args: Arguments, io: Io): Promise<number> {
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const { event, again, isSame } = await decideRecorded(id, {
      env: io.env,
      now: io.now,
      dataRoot: dataOf(args, io),
      engine,
    });
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
