import {
  type AccessRequest,
  type Decision,
  type DeviceOwnership,
  type EntityUid,
  type PostureSignal,
  type RiskLevel,
  subjectFromId,
} from '@countersign/model';
import type { z } from 'zod';
import { checkList } from '../document/check-shape.ts';
import { listOf, quote } from '../document/describe.ts';
import { didYouMean } from '../document/suggest.ts';
import type { Repository } from '../repository.ts';
import type { AttributeTypes } from '../schema/attribute-types.ts';
import type { EntityVocabulary } from '../schema/entity-vocabulary.ts';
import { policyTestShape } from '../shape/policy-test-shape.ts';
import { checkAttributes } from './check-attributes.ts';
import { checkEntityTypes } from './check-entity-types.ts';
import { vouchingFault } from './read-subject-entity.ts';
import {
  type CheckContext,
  createNameRegister,
  type Located,
  readSource,
} from './repository-source.ts';

/** The question that one test of `policies/tests/*.yaml` asks. */
export interface PolicyTestQuestion {
  readonly request: AccessRequest;
  /** What the risk fact of the subject says; `unknown` is no fact. */
  readonly risk: RiskLevel | 'unknown';
  /** What is known of the request's device; nothing where it has none. */
  readonly device?: AssumedDevice;
}

/** What a test says of the request's device. */
export interface AssumedDevice {
  readonly ownership: DeviceOwnership;
  /** SPIFFE ID. */
  readonly owner?: string;
  /** Signals that are known. */
  readonly posture: { readonly [S in PostureSignal]?: boolean };
  readonly score?: number;
}

/**
 * Decides a test's question under a repository; what `decision` offers, which is above this room.
 * Called one at a time, always with the same repository.
 */
export type RunPolicyTest = (
  question: PolicyTestQuestion,
  repository: Repository,
) => Promise<Pick<Decision, 'effect' | 'policies' | 'reason'>>;

type PolicyTest = z.output<typeof policyTestShape>;

/** Reads `policies/tests/*.yaml`. */
export async function readPolicyTests(
  files: readonly string[],
  context: CheckContext,
): Promise<readonly Located<PolicyTest>[]> {
  const names = createNameRegister('test', context.report);
  const tests: Located<PolicyTest>[] = [];
  for (const file of files) {
    const document = await readSource(file, context);
    if (!document) continue;
    for (const { value, path } of checkList(document, policyTestShape, context.report)) {
      names.take(value.name, document.at([...path, 'name']));
      tests.push({ value, document, path });
    }
  }
  return tests;
}

/** Checks what tests name: surfaces, operations, policies. Warns of an enforcing surface that none asks about. */
export function checkPolicyTests(
  tests: readonly Located<PolicyTest>[],
  /** `policies` only when all of them could be read. */
  known: Pick<Repository, 'surfaces'> & { readonly policies?: readonly { readonly id: string }[] },
  { report }: CheckContext,
): void {
  const surfaces = new Map(known.surfaces.map((surface) => [surface.name, surface]));
  const policies = known.policies?.map(({ id }) => id);
  const asked = new Set<string>();
  for (const { value, document, path } of tests) {
    const refuse = (
      key: readonly PropertyKey[],
      what: string,
      word: string,
      words: readonly string[],
    ) =>
      report.error(document.at([...path, ...key]), {
        found: `${what} ${quote(word)}`,
        expected: `one of ${listOf(words)}`,
        mend: didYouMean(word, words, 'correct it'),
      });
    const { request, policy } = value;
    const surface = surfaces.get(request.surface);
    asked.add(request.surface);
    if (!surface) {
      refuse(['request', 'surface'], 'surface', request.surface, [...surfaces.keys()]);
    } else if (!surface.operations.some(({ id }) => id === request.action)) {
      const ids = surface.operations.map(({ id }) => id);
      refuse(['request', 'action'], 'action', request.action, ids);
    }
    if (policy !== undefined && policies?.includes(policy) === false)
      refuse(['policy'], 'policy', policy, policies);
  }
  for (const { name, mode } of known.surfaces) {
    if (mode !== 'enforce' || asked.has(name)) continue;
    report.warn(
      { file: 'policies/tests' },
      {
        found: `no test about surface '${name}', which enforces`,
        expected: 'tests that say who may and who may not',
        mend: `write policies/tests/${name}.yaml`,
      },
    );
  }
}

/** Checks what tests assume of customers, of whom no file tells, against the schema, as if it stood in `identities/`. */
export function checkTestedCustomers(
  tests: readonly Located<PolicyTest>[],
  known: {
    readonly trustDomain: string;
    /** SPIFFE IDs of those who stand in a file. */
    readonly registered: ReadonlySet<string>;
    readonly vocabulary: EntityVocabulary;
    readonly types: ReadonlyMap<string, AttributeTypes>;
  },
  { report }: Pick<CheckContext, 'report'>,
): void {
  const { trustDomain, registered, vocabulary, types } = known;
  const customers = tests.flatMap(({ value: { request }, document, path }) => {
    if (!request.customer) return [];
    const where = [...path, 'request', 'customer'];
    const subject = subjectFromId(`spiffe://${trustDomain}/${request.subject}`);
    const fault = vouchingFault(subject.id, registered);
    if (!fault) return [{ value: { ...request.customer, subject }, document, path: where }];
    const { found, expected } = fault;
    report.error(document.atKey(where), {
      found: `'customer' for ${found}`,
      expected,
      mend: "remove 'customer', or ask about another subject",
    });
    return [];
  });
  const written = { registrations: customers, entities: [] };
  checkEntityTypes(written, vocabulary, report);
  checkAttributes(written, { vocabulary, types }, report);
}

/** Runs the tests and reports those whose decision is another one than expected. */
export async function runPolicyTests(
  tests: readonly Located<PolicyTest>[],
  options: {
    readonly repository: Repository;
    readonly runTest: RunPolicyTest;
    readonly context: CheckContext;
  },
): Promise<void> {
  const { repository, runTest, context } = options;
  for (const { value, document, path } of tests) {
    const { effect, policies, reason } = await runTest(
      {
        request: requestOf(value, repository, context.now),
        risk: value.request.risk,
        ...deviceOf(value, repository),
      },
      repository,
    );
    const by = `${reason}, policies ${listOf(policies)}`;
    if (effect !== value.expect) {
      context.report.error(document.at([...path, 'expect']), {
        found: `${effect} (${by}) in test ${quote(value.name)}`,
        expected: value.expect,
        mend: 'change the policies, or what the test expects',
      });
    } else if (value.policy !== undefined && !policies.includes(value.policy)) {
      context.report.error(document.at([...path, 'policy']), {
        found: `${effect} (${by}) in test ${quote(value.name)}`,
        expected: `policy '${value.policy}' among those that determine it`,
        mend: 'change the policies, or which of them the test expects',
      });
    }
  }
}

function deviceOf(
  { request: { device } }: PolicyTest,
  { config }: Repository,
): { readonly device?: AssumedDevice } {
  if (!device) return {};
  const { ownership, owner, posture, score } = device;
  const known = Object.entries(posture).filter(([, value]) => value !== undefined);
  return {
    device: {
      ownership,
      ...(owner !== undefined && { owner: `spiffe://${config.trustDomain}/${owner}` }),
      posture: Object.fromEntries(known),
      ...(score !== undefined && { score }),
    },
  };
}

function requestOf(
  { request }: PolicyTest,
  repository: Repository,
  now: () => number,
): AccessRequest {
  const surface = repository.surfaces.find(({ name }) => name === request.surface);
  const namespace = surface?.namespace ?? '';
  const subject = (name: string) =>
    subjectFromId(`spiffe://${repository.config.trustDomain}/${name}`);
  const surfaceUid = { type: 'Surface', id: request.surface };
  const qualified = ({ type, id }: EntityUid) => ({
    type: type.includes('::') || type === 'Surface' ? type : `${namespace}::${type}`,
    id,
  });
  const { acr, amr, authTime, session, resource, transaction, device } = request;
  const hasSession = [acr, amr, authTime, session].some((part) => part !== undefined);
  return {
    subject: subject(request.subject),
    ...(request.customer && { subjectEntity: request.customer }),
    actors: request.actors.map(subject),
    ...(request.caller !== undefined && { caller: subject(request.caller) }),
    ...(device && { device: { subject: subject(device.name), proof: device.proof } }),
    ...(hasSession && {
      session: {
        id: session ?? 'test',
        ...(acr !== undefined && { acr }),
        ...(amr && { amr }),
        ...(authTime !== undefined && { authTimeMs: authTime }),
      },
    }),
    keyProof: request.keyProof,
    surface: request.surface,
    action: request.action,
    resource: resource
      ? { ...qualified(resource), parents: [...resource.parents.map(qualified), surfaceUid] }
      : { ...surfaceUid, parents: [] },
    ...(request.purpose !== undefined && { purpose: request.purpose }),
    ...(request.authorizationDetails && { authorizationDetails: request.authorizationDetails }),
    ...(request.contentDigest !== undefined && { contentDigest: request.contentDigest }),
    scopes: request.scopes,
    ...(transaction && {
      transaction: {
        id: transaction.id,
        requestingWorkload: subject(transaction.requestingWorkload).id,
      },
    }),
    timeMs: request.time ?? now(),
    ip: request.ip,
  };
}
