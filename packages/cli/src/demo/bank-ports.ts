import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { freePorts } from './free-ports.ts';

/** Ports of the running bank, by what listens there. */
export interface BankPorts {
  readonly control: number;
  readonly issuer: number;
  /** Of the staff's identity provider, which is none of the bank's parts. */
  readonly idp: number;
  readonly edge: number;
  readonly statements: number;
  readonly payments: number;
  readonly accounts: number;
  readonly core: number;
}

/**
 * The ports that the working copy's countersign.yaml names, where they are free; where they are not,
 * others, written into the copy, so that two demos run beside each other; and the points' names and kinds.
 */
export async function choosePorts(
  repositoryFolder: string,
): Promise<{ readonly ports: BankPorts; readonly points: readonly (readonly [string, string])[] }> {
  const file = join(repositoryFolder, 'countersign.yaml');
  const text = await readFile(file, 'utf8');
  const config: WrittenConfig = parse(text);
  const written = portsOf(config);
  const given = await freePorts(Object.values(written));
  const chosen = { ...written };
  let next = text;
  for (const [name, port] of Object.entries(written) as [keyof BankPorts, number][]) {
    chosen[name] = given.get(port) ?? port;
    if (chosen[name] !== port) {
      next = next.replaceAll(new RegExp(`:${port}\\b`, 'g'), `:${chosen[name]}`);
    }
  }
  if (next !== text) await writeFile(file, next);
  const points = Object.entries(config.points).map(([name, { kind }]) => [name, kind] as const);
  return { ports: chosen, points };
}

interface WrittenConfig {
  readonly authority: {
    readonly control: string;
    readonly issuer: string;
    readonly login?: { readonly identityProviders?: readonly { readonly issuer: string }[] };
  };
  readonly points: Readonly<
    Record<
      string,
      { readonly kind: string; readonly listeners: readonly { name: string; address: string }[] }
    >
  >;
}

function portsOf(config: WrittenConfig): { -readonly [name in keyof BankPorts]: number } {
  const listener = (point: string, name: string): number =>
    portOf(config.points[point]?.listeners.find((each) => each.name === name)?.address ?? '');
  return {
    control: portOf(config.authority.control),
    issuer: portOf(config.authority.issuer),
    idp: portOf(config.authority.login?.identityProviders?.[0]?.issuer ?? ''),
    edge: listener('edge', 'partners'),
    statements: listener('edge', 'statements'),
    payments: listener('payments', 'mesh'),
    accounts: listener('accounts', 'mesh'),
    core: listener('core', 'mesh'),
  };
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
