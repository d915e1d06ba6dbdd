import type { Event } from '@countersign/model';
import type { BankEnvironment } from '../callers/environment.ts';
import type { StartedProvider } from '../idp/start-identity-provider.ts';
import type { WorkloadSocket } from '../services/services.ts';

/** What a tour needs beside what partners know: the operator's side, and the record. */
export interface TourEnvironment extends BankEnvironment {
  readonly trustDomain: string;
  /** The working copy of the repository, which the authority applies. */
  readonly repositoryFolder: string;
  /** The staff's identity provider: where it listens, and its own folder, as `prepareBank` made it. */
  readonly idp: {
    readonly origin: string;
    readonly folder: string;
    readonly addPerson: StartedProvider['addPerson'];
  };
  /** What people hold, who sign in: passkeys, a file each. None of it is the bank's. */
  readonly peopleFolder: string;
  /** Where each service keeps its data, in a folder of its own name. */
  readonly servicesFolder: string;
  /** Where the points beside the services listen, `https://127.0.0.1:8452`. */
  readonly meshOrigins: Readonly<Record<'payments' | 'accounts' | 'core', string>>;
  /** The Workload API of the bank's host, at the socket of one workload: `unix:///…/node/statement-checks.sock`. */
  workloadEndpoint(socket: WorkloadSocket): string;
  /** The authority's control API. */
  readonly authorityUrl: string;
  /** DER in base64, as `trust.json` has them. */
  readonly x509Authorities: readonly string[];
  /** One call to the operator's socket; being refused is an answer. */
  admin(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }>;
  /** The first collected event that fits, waiting for it at most that long. */
  findEvent(predicate: (event: Event) => boolean, timeoutMs: number): Promise<Event | undefined>;
}

/** What a scene found. */
export interface SceneResult {
  /** In the words of `expected`, or what there was instead. */
  readonly got: string;
  readonly ok: boolean;
  /** How long something took, which nobody promises: `the stream was cut after 14 ms`. */
  readonly measured?: string;
  /** Ids of the events that show it. */
  readonly evidence?: readonly string[];
}

/** One thing that Countersign does, shown on a running bank: what a caller gets, and what the record says. */
export interface Scene {
  /** Lower-case kebab. */
  readonly name: string;
  readonly title: string;
  /** A few words such as `200` or `401 token-binding`. */
  readonly expected: string;
  /** Scenes that must be over before, by name. */
  readonly after?: readonly string[];
  run(env: TourEnvironment): Promise<SceneResult>;
}

/** Compares, so that no scene can be right without having found what it announces. */
export function sceneResult(
  { expected }: Pick<Scene, 'expected'>,
  got: string,
  evidence: readonly (string | undefined)[] = [],
): SceneResult {
  return { got, ok: got === expected, evidence: evidence.filter((id) => id !== undefined) };
}
