import type { HostPort } from '@countersign/policy';
import { type Arguments, UsageError } from './command.ts';

const ADDRESS = /^(?:\[(::1)\]|(127\.\d+\.\d+\.\d+|localhost)):([0-9]{1,5})$/;

/**
 * A loopback address and port of an option, or nothing when it was not given.
 *
 * @throws {UsageError} for any other address
 */
export function loopbackAddress(args: Arguments, name: string): HostPort | undefined {
  const text = args.text(name);
  if (text === undefined) return undefined;
  const match = ADDRESS.exec(text);
  const port = Number(match?.[3]);
  if (match && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port };
  throw new UsageError(
    `found --${name} '${text}', expected a loopback address such as 127.0.0.1:9465`,
  );
}
