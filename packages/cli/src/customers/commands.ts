import {
  CUSTOMERS_AT_ONCE_MAX,
  type CustomersChanged,
  type ShownCustomer,
} from '@countersign/identity';
import { pathOfSubject } from '@countersign/model';
import { type AdminClient, AdminRefusal } from '../admin-client.ts';
import { type Arguments, type Command, EXIT, UsageError } from '../command-line/command.ts';
import { readInput } from '../command-line/read-input.ts';
import { wholeNumber } from '../command-line/words.ts';
import { authorityOf, print, shared } from '../commands/options.ts';
import { inviteText, inviteTtl, inviteTtlOf, type MadeInvite } from '../commands/passkey.ts';
import { printable } from '../record/printable.ts';

const { data, json } = shared;
/** Lines of progress on a long import: one for so many customers. */
const PROGRESS_EVERY = 50_000;

function idOf(args: Arguments): string {
  const [id] = args.operands;
  if (!id) throw new UsageError('found no CUSTOMER, expected an id');
  return pathOfSubject(id).replace(/^customer\//, '');
}

const pathOf = (id: string): string => `/v1/customers/${encodeURIComponent(id)}`;

/** `countersign customer import` */
const importCommand: Command = {
  name: 'customer import',
  summary: 'write customers of the bank from a file: new ones, changes, those who are disabled',
  operands: 'FILE',
  operandsMax: 1,
  description:
    'FILE (- is standard input) is JSON lines: {"id": "7f3a91", "enabled": true, "attributes": {...}, "parents": [...]}, each customer whole.\nThey are written by the thousand; a line that cannot be taken stops it, and is named (exit code 1): run all of it again when it is mended.\nWho is not in the file stays as they are.',
  options: { data, json },
  examples: ['countersign customer import customers.ndjson'],
  async run(args, io) {
    const [file] = args.operands;
    if (file === undefined)
      throw new UsageError('found no FILE, expected one, or - for standard input');
    const lines = (await readInput(file, io.cwd)).split('\n');
    const client = authorityOf(args, io);
    const total = { created: 0, changed: 0, unchanged: 0, disabled: 0, enabled: 0 };
    let batch: Numbered[] = [];
    let done = 0;
    /** What is wrong, with its line; nothing when all are written. */
    const write = async (): Promise<string | undefined> => {
      if (batch.length === 0) return undefined;
      const result = await writeBatch(client, batch);
      if (typeof result === 'string') return result;
      total.created += result.created;
      total.changed += result.changed;
      total.unchanged += result.unchanged;
      total.disabled += result.disabled.length;
      total.enabled += result.enabled.length;
      const before = Math.floor(done / PROGRESS_EVERY);
      done += batch.length;
      if (Math.floor(done / PROGRESS_EVERY) > before) io.err(`${done} customers\n`);
      batch = [];
      return undefined;
    };
    let fault: string | undefined;
    for (const [index, line] of lines.entries()) {
      if (line.trim() === '') continue;
      const customer = parsed(line);
      if (customer === undefined) {
        fault =
          (await write()) ?? `${index + 1}: found no JSON, expected one customer as a JSON object`;
        break;
      }
      batch.push({ line: index + 1, customer });
      if (batch.length < CUSTOMERS_AT_ONCE_MAX) continue;
      fault = await write();
      if (fault !== undefined) break;
    }
    fault ??= await write();
    if (fault !== undefined) {
      const where = `${file}:${fault}`;
      print(
        io,
        args,
        { fault: where, ...total },
        `${where}\n${done} customers before it are written; mend it and run all of it again`,
      );
      return EXIT.negative;
    }
    const { created, changed, unchanged, disabled, enabled } = total;
    print(
      io,
      args,
      total,
      `${created} created, ${changed} changed (${disabled} disabled, ${enabled} enabled again), ${unchanged} as they were`,
    );
    return EXIT.ok;
  },
};

/** A customer, and the line where it stands. */
interface Numbered {
  readonly line: number;
  readonly customer: unknown;
}

/** What it came to, or what is wrong with which line. */
async function writeBatch(
  client: AdminClient,
  batch: readonly Numbered[],
): Promise<CustomersChanged | string> {
  try {
    const customers = batch.map(({ customer }) => customer);
    return await client.call<CustomersChanged>('POST', '/v1/customers', customers);
  } catch (error) {
    if (!(error instanceof AdminRefusal) || error.status !== 400) throw error;
    const { index = 0, detail = error.message } = error.body as { index?: number; detail?: string };
    return `${batch[index]?.line ?? 1}: ${printable(detail)}`;
  }
}

/** Nothing for what is no JSON. */
function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** `countersign customer list` */
const list: Command = {
  name: 'customer list',
  summary: 'list customers in the order of their ids',
  description: 'Asks the authority that runs on this data folder.',
  options: {
    data,
    json,
    after: { type: 'string', value: 'ID', help: 'those behind this one' },
    limit: { type: 'string', value: 'N', help: 'how many, 1 to 1000 (default: 100)' },
  },
  examples: ['countersign customer list --after 7f3a91 --limit 10'],
  async run(args, io) {
    const limit = wholeNumber(args, 'limit', { min: 1, max: 1000 }) ?? 100;
    const after = args.text('after');
    const query = new URLSearchParams({ limit: `${limit}`, ...(after !== undefined && { after }) });
    const found = await authorityOf(args, io).call<readonly ShownCustomer[]>(
      'GET',
      `/v1/customers?${query}`,
    );
    print(io, args, found, found.map(line).join('\n') || 'no customers');
    return EXIT.ok;
  },
};

/** `countersign customer show` */
const show: Command = {
  name: 'customer show',
  summary: 'show what the bank wrote of a customer: what its tokens say of it',
  operands: 'CUSTOMER',
  operandsMax: 1,
  description: 'CUSTOMER is its id, or customer/<id>. Exit code 3 when there is none.',
  options: { data, json },
  examples: ['countersign customer show 7f3a91'],
  async run(args, io) {
    const found = await authorityOf(args, io).call<ShownCustomer>('GET', pathOf(idOf(args)));
    const { attributes, parents } = found;
    const text = `${line(found)}\nattributes  ${printable(JSON.stringify(attributes))}\nparents     ${printable(JSON.stringify(parents))}`;
    print(io, args, found, text);
    return EXIT.ok;
  },
};

/** `countersign customer disable` and `enable` */
const [disable, enable] = (['disable', 'enable'] as const).map(
  (verb): Command => ({
    name: `customer ${verb}`,
    summary:
      verb === 'disable'
        ? 'keep a customer out at once: sessions and grants end everywhere'
        : 'let a customer in again, by a new sign-in',
    operands: 'CUSTOMER',
    operandsMax: 1,
    description:
      verb === 'disable'
        ? 'Its passkeys stay, and sign nobody in. What is open is closed. A source that writes the customer enabled later lets it in again: hold\none that it must not with `countersign revoke subject customer/<id>`.'
        : 'Sessions from before stay ended.',
    options: { data, json },
    examples: [`countersign customer ${verb} 7f3a91`],
    async run(args, io) {
      const client = authorityOf(args, io);
      const { id, attributes, parents } = await client.call<ShownCustomer>(
        'GET',
        pathOf(idOf(args)),
      );
      const isEnabled = verb === 'enable';
      const written = [{ id, enabled: isEnabled, attributes, parents }];
      const result = await client.call<CustomersChanged>('POST', '/v1/customers', written);
      const text = result.unchanged > 0 ? `${id} was ${verb}d already` : `${verb}d ${id}`;
      print(io, args, { id, enabled: isEnabled, changed: result.changed > 0 }, text);
      return EXIT.ok;
    },
  }),
) as [Command, Command];

/** `countersign customer remove` */
const remove: Command = {
  name: 'customer remove',
  summary: 'forget a customer; what it has is ended',
  operands: 'CUSTOMER',
  operandsMax: 1,
  description:
    'Sessions, grants and passkeys go. The record keeps what it did: `countersign record erase` takes that.',
  options: { data, json },
  examples: ['countersign customer remove 7f3a91'],
  async run(args, io) {
    const id = idOf(args);
    await authorityOf(args, io).call('DELETE', pathOf(id));
    print(io, args, { removed: id }, `removed ${printable(id)}`);
    return EXIT.ok;
  },
};

/** `countersign customer invite` */
const invite: Command = {
  name: 'customer invite',
  summary: 'make a one-time code with which a customer registers a passkey',
  operands: 'CUSTOMER',
  operandsMax: 1,
  description:
    'As `passkey invite` does for people: shown once, good for an hour. One who had a passkey needs a second person to agree (recovery).',
  options: { data, json, ttl: inviteTtl },
  examples: ['countersign customer invite 7f3a91'],
  async run(args, io) {
    const path = `${pathOf(idOf(args))}/passkey-invites`;
    const made = await authorityOf(args, io).call<MadeInvite>('POST', path, {
      ttlSeconds: inviteTtlOf(args),
    });
    print(io, args, made, inviteText(made));
    return EXIT.ok;
  },
};

function line({ id, enabled, isRevoked, changedAtMs }: ShownCustomer): string {
  const state = isRevoked ? 'revoked ' : enabled ? 'enabled ' : 'disabled';
  return `${printable(id).padEnd(32)}  ${state}  since ${new Date(changedAtMs).toISOString()}`;
}

/** `countersign customer …` */
export const customerCommands: readonly Command[] = [
  importCommand,
  list,
  show,
  disable,
  enable,
  remove,
  invite,
];
