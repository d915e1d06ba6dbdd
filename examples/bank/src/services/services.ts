import { join } from 'node:path';

/** The bank's host, as `identities/workloads.yaml` has it. */
export const NODE = 'workload/nodes/local';

/**
 * Sockets of `countersign node`, each for one workload. They stand in `identities/workloads.yaml` (`socket:name:…`): services
 * of one user and one program are told apart by nothing else.
 */
export const WORKLOAD_SOCKETS = [
  'accounts-api',
  'payments-api',
  'statement-checks',
  'customer-app',
  'staff-desk',
  'reconciler',
] as const;
/** One of {@link WORKLOAD_SOCKETS}. */
export type WorkloadSocket = (typeof WORKLOAD_SOCKETS)[number];

/** How one of the bank's services is started. */
export interface ServiceDescription {
  readonly name: 'core' | 'accounts' | 'payments' | 'statements';
  /** The module to start, absolute: `node --conditions=@countersign/source <entry> …`. */
  readonly entry: string;
  /** The socket at which the node knows it, when it calls others; whom it becomes there stands in the repository. */
  readonly workloadSocket?: WorkloadSocket;
  /** The point that it calls, and the arguments that take its origin and its SPIFFE ID. */
  readonly calls?: {
    readonly point: 'core' | 'accounts';
    readonly originArgument: string;
    readonly idArgument: string;
  };
}

const entry = (name: string): string => join(import.meta.dirname, `${name}.ts`);

/**
 * The services, in the order in which to start them. Each takes `--socket` and `--data`, and prints
 * `{"ready":"<name>",…}` when it listens.
 */
export const SERVICES: readonly ServiceDescription[] = [
  { name: 'core', entry: entry('core') },
  {
    name: 'accounts',
    entry: entry('accounts'),
    workloadSocket: 'accounts-api',
    calls: { point: 'core', originArgument: '--core-origin', idArgument: '--core-id' },
  },
  {
    name: 'payments',
    entry: entry('payments'),
    workloadSocket: 'payments-api',
    calls: { point: 'accounts', originArgument: '--accounts-origin', idArgument: '--accounts-id' },
  },
  { name: 'statements', entry: entry('statements') },
];
