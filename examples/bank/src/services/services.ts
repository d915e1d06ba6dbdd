import { join } from 'node:path';

/** How one of the bank's services is started. */
export interface ServiceDescription {
  readonly name: 'core' | 'accounts' | 'payments' | 'statements';
  /** The module to start, absolute: `node --conditions=@countersign/source <entry> …`. */
  readonly entry: string;
  /** The registered workload that it becomes, when it calls others. */
  readonly identity?: string;
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
    identity: 'workload/accounts/api',
    calls: { point: 'core', originArgument: '--core-origin', idArgument: '--core-id' },
  },
  {
    name: 'payments',
    entry: entry('payments'),
    identity: 'workload/payments/api',
    calls: { point: 'accounts', originArgument: '--accounts-origin', idArgument: '--accounts-id' },
  },
  { name: 'statements', entry: entry('statements') },
];
