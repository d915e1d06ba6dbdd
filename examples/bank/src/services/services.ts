import { join } from 'node:path';

/** Loopback ports of a running bank. */
export interface ServicePorts {
  /** Where the point beside the accounts service listens. */
  readonly accounts: number;
  /** Where the point around the core listens. */
  readonly core: number;
}

/** How one of the bank's services is started. */
export interface ServiceDescription {
  readonly name: 'core' | 'accounts' | 'payments' | 'statements';
  /** The module to start, absolute: `node --conditions=@countersign/source <file> …`. */
  readonly file: string;
  /** The registered workload that it becomes, when it calls others: without it, it does not start. */
  readonly workload?: string;
  /** What it takes beside `--socket` and `--data`: where it calls, and who must answer there. */
  arguments(options: { readonly ports: ServicePorts }): readonly string[];
}

/** The enforcement points of the repository's countersign.yaml, each with its kind. */
export const POINTS = {
  edge: 'gateway',
  payments: 'sidecar',
  accounts: 'sidecar',
  core: 'wrap',
} as const;

const file = (name: string): string => join(import.meta.dirname, `${name}.ts`);
const peer = (point: keyof ServicePorts, port: number): readonly string[] => [
  `--${point}-origin`,
  `https://127.0.0.1:${port}`,
  `--${point}-id`,
  `spiffe://bank.example/workload/countersign/${point}`,
];

/**
 * The services, in the order in which to start them. Each takes `--socket` and `--data`, and prints
 * `{"ready":"<name>",…}` when it listens. Those with a `workload` become it by the environment that
 * the sdk's `workloadFromEnvironment` reads.
 */
export const SERVICES: readonly ServiceDescription[] = [
  { name: 'core', file: file('core'), arguments: () => [] },
  {
    name: 'accounts',
    file: file('accounts'),
    workload: 'workload/accounts/api',
    arguments: ({ ports }) => peer('core', ports.core),
  },
  {
    name: 'payments',
    file: file('payments'),
    workload: 'workload/payments/api',
    arguments: ({ ports }) => peer('accounts', ports.accounts),
  },
  { name: 'statements', file: file('statements'), arguments: () => [] },
];
