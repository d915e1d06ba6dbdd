import {
  type AccessRequest,
  type EntityUid,
  type KeyProof,
  type Operation,
  type ResourceRef,
  type Surface,
  subjectFromId,
} from '@countersign/model';
import type { Repository } from '@countersign/policy';
import { UsageError } from '../command-line/command.ts';
import { nearest } from '../command-line/nearest.ts';
import { subjectUri } from '../subject-uri.ts';

/** A question as it is typed. */
export interface TypedQuestion {
  readonly subject: string;
  readonly caller?: string;
  readonly surface: string;
  readonly action: string;
  /** `AccountId=22289`, in any order. */
  readonly parameters: readonly string[];
  readonly scopes: readonly string[];
  readonly keyProof: string;
  readonly transaction?: string;
  readonly ip?: string;
  readonly acr?: string;
  /** `device/alice-laptop`, or only the name. */
  readonly device?: string;
}

/**
 * Makes the request that a typed question means.
 *
 * @throws {UsageError} naming the word at fault and what was expected
 */
export function requestOf(
  question: TypedQuestion,
  repository: Repository,
  nowMs: number,
): AccessRequest {
  const { trustDomain } = repository.config;
  const surface = find(question.surface, repository.surfaces, (each) => each.name, 'surface');
  const operation = find(question.action, surface.operations, (each) => each.id, 'action');
  if (!['none', 'mtls', 'dpop'].includes(question.keyProof)) {
    throw new UsageError(`found key proof '${question.keyProof}', expected none, mtls or dpop`);
  }
  const uri = (text: string): string => subjectUri(text, trustDomain);
  return {
    subject: subjectFromId(uri(question.subject)),
    actors: [],
    ...(question.caller !== undefined && { caller: subjectFromId(uri(question.caller)) }),
    ...(question.device !== undefined && {
      device: {
        subject: subjectFromId(uri(question.device.replace(/^(?!spiffe:|device\/)/, 'device/'))),
        proof: 'mtls' as const,
      },
    }),
    ...(question.acr !== undefined && { session: { id: 'asked', acr: question.acr } }),
    keyProof: question.keyProof as KeyProof,
    surface: surface.name,
    action: operation.id,
    resource: resourceOf(operation, surface, question.parameters),
    scopes: question.scopes,
    ...(question.transaction !== undefined && {
      transaction: { id: 'asked', requestingWorkload: uri(question.transaction) },
    }),
    timeMs: nowMs,
    ip: question.ip ?? '127.0.0.1',
  };
}

/** The last path parameter names the resource; the earlier ones and the surface hold it. */
function resourceOf(operation: Operation, surface: Surface, typed: readonly string[]): ResourceRef {
  const values = new Map<string, string>();
  for (const pair of typed) {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`found parameter '${pair}', expected name=value`);
    values.set(pair.slice(0, at), pair.slice(at + 1));
  }
  const entities = operation.parameters.map(({ name, entityType }): EntityUid => {
    const id = values.get(name);
    if (id === undefined) {
      throw new UsageError(
        `found no parameter '${name}', expected --param ${name}=<value> for ${operation.path}`,
      );
    }
    return { type: `${surface.namespace}::${entityType}`, id };
  });
  const itself: EntityUid = { type: 'Surface', id: surface.name };
  const resource = entities.pop();
  return resource
    ? { ...resource, parents: [...entities.toReversed(), itself] }
    : { ...itself, parents: [] };
}

function find<T>(name: string, all: readonly T[], nameOf: (each: T) => string, noun: string): T {
  const found = all.find((each) => nameOf(each) === name);
  if (found) return found;
  const names = all.map(nameOf);
  const near = nearest(name, names);
  throw new UsageError(
    `found ${noun} '${name}', expected ${near ? `'${near}'?` : `one of ${names.join(', ')}`}`,
  );
}
