import { type Fact, ModelError, parseFact } from '@countersign/model';
import { type PolicyBundle, parseBundle, RepositoryError } from '@countersign/policy';
import {
  FACTS_TYPE,
  type FactMessage,
  POLICY_TYPE,
  STATEMENT_LENGTH_MAX,
  StateError,
  type TrustAnchors,
  verifyStatement,
} from '@countersign/state';
import type { RefusalCode } from './replica.ts';

/** What a line says, once its signature and its form are known to be good. */
export type FeedMessage =
  | { readonly kind: 'facts'; readonly message: FactMessage }
  | { readonly kind: 'policy'; readonly bundle: PolicyBundle };

/** Why something was not taken. */
export interface Refusal {
  readonly refusal: RefusalCode;
  readonly detail: string;
}

/** `{"facts":""}` around the longest statement, and room for a line's end. */
const LINE_LENGTH_MAX = STATEMENT_LENGTH_MAX + 64;

/**
 * Verifies one line of the feed. Facts are taken from the fact keys only and bundles from the policy
 * keys only, so that whoever holds one of them cannot say what the other says.
 */
export function readLine(line: string, anchors: TrustAnchors): FeedMessage | Refusal {
  const statement = unwrap(line);
  if ('refusal' in statement) return statement;
  try {
    if (statement.kind === 'facts') {
      const payload = verifyStatement(statement.jws, { type: FACTS_TYPE, keys: anchors.factKeys });
      const message = readFactMessage(payload);
      return 'refusal' in message ? message : { kind: 'facts', message };
    }
    const payload = verifyStatement(statement.jws, {
      type: POLICY_TYPE,
      keys: anchors.policyKeys,
    });
    return { kind: 'policy', bundle: parseBundle(payload) };
  } catch (error) {
    return toRefusal(error);
  }
}

function unwrap(
  line: string,
): { readonly kind: 'facts' | 'policy'; readonly jws: string } | Refusal {
  if (line.length > LINE_LENGTH_MAX) {
    return malformed(`found ${line.length} characters, expected at most ${LINE_LENGTH_MAX}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return malformed('found no JSON');
  }
  const [entry, ...more] = Object.entries(value ?? {});
  const [kind, jws] = entry ?? [];
  if ((kind !== 'facts' && kind !== 'policy') || typeof jws !== 'string' || more.length > 0) {
    return malformed('found another object than {"facts":"<JWS>"} or {"policy":"<JWS>"}');
  }
  return { kind, jws };
}

function toRefusal(error: unknown): Refusal {
  if (error instanceof StateError) {
    const isForm =
      error.code === 'ERR_STATE_STATEMENT_MALFORMED' || error.code === 'ERR_STATE_STATEMENT_SIZE';
    return { refusal: isForm ? 'malformed' : 'signature-invalid', detail: error.message };
  }
  if (error instanceof ModelError || error instanceof RepositoryError) {
    return malformed(error.message);
  }
  throw error;
}

/** @throws {ModelError} for a fact that is none */
function readFactMessage(payload: unknown): FactMessage | Refusal {
  if (typeof payload !== 'object' || payload === null) return malformed('found no fact message');
  const { kind, trustDomain, sequence, atMs, ...body } = payload as Record<string, unknown>;
  if (typeof trustDomain !== 'string') return malformed('found a fact message of no trust domain');
  if (!isCount(sequence)) return malformed('found a fact message without sequence');
  if (!isCount(atMs)) return malformed('found a fact message without time');
  const head = { trustDomain, sequence, atMs };
  switch (kind) {
    case 'beat':
      return { kind, ...head };
    case 'snapshot':
      return { kind, ...head, facts: readFacts(body['facts']) };
    case 'change':
      return {
        kind,
        ...head,
        puts: readFacts(body['puts']),
        removes: readKeys(body['removes']),
      };
    default:
      return malformed('found a fact message of another kind than snapshot, change or beat');
  }
}

function readFacts(value: unknown): readonly Fact[] {
  if (!Array.isArray(value)) {
    throw new ModelError('ERR_MODEL_FACT_INVALID', 'cannot read facts: found no list');
  }
  return value.map(parseFact);
}

function readKeys(value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((key) => typeof key === 'string')) {
    throw new ModelError('ERR_MODEL_FACT_INVALID', 'cannot read removed facts: found no keys');
  }
  return value;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function malformed(detail: string): Refusal {
  return { refusal: 'malformed', detail };
}
