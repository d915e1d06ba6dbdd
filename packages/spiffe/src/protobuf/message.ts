import { Buffer } from 'node:buffer';
import { broken, type WireField, WireWriter, wireFields, wireText } from './wire.ts';

/** What a field is, also for descriptors: numbers are those of FieldDescriptorProto.Type. */
export const FIELD_TYPE = Object.freeze({
  int64: 3,
  int32: 5,
  bool: 8,
  string: 9,
  message: 11,
  bytes: 12,
});

/** One field of a message: how it is called, written and read. */
export interface Field<Value> {
  readonly number: number;
  /** As in the .proto file. */
  readonly name: string;
  readonly type: keyof typeof FIELD_TYPE;
  readonly label: 'single' | 'repeated' | 'map';
  /** Of which message; for a map, of its entry. */
  readonly message?: () => AnyMessageType;
  readonly empty: () => Value;
  readonly write: (writer: WireWriter, value: Value) => void;
  readonly read: (field: WireField, before: Value) => Value;
}

// biome-ignore lint/suspicious/noExplicitAny: a field of whatever value; the table that it stands in says which.
export type AnyField = Field<any>;

/** A message, as a table of its fields: the codec and the descriptor are made of it. */
export interface MessageType<Message> {
  /** Full name, `google.protobuf.Struct`. */
  readonly name: string;
  readonly fields: readonly AnyField[];
  /** What is absent has its default value, which is not written. */
  encode(message: Partial<Message>): Uint8Array;
  /** Unknown fields are passed over; throws `ERR_SPIFFE_WORKLOAD_PROTOCOL`. */
  decode(bytes: Uint8Array): Message;
}

// biome-ignore lint/suspicious/noExplicitAny: a message type of whatever message; its users know which.
export type AnyMessageType = MessageType<any>;
export type MessageOf<Type> = Type extends MessageType<infer Message> ? Message : never;

type Table = Readonly<Record<string, AnyField>>;
type FieldsOf<T extends Table> = {
  readonly [Name in keyof T]: T[Name] extends Field<infer Value> ? Value : never;
};

/** Makes a message type of its fields. */
export function message<T extends Table>(name: string, table: T): MessageType<FieldsOf<T>> {
  const entries = Object.entries(table) as unknown as [string, Field<unknown>][];
  const byNumber = new Map(entries.map((entry) => [entry[1].number, entry]));
  return {
    name,
    fields: Object.values(table),
    encode: (value) => {
      const writer = new WireWriter();
      for (const [key, field] of entries) {
        const member = (value as Record<string, unknown>)[key];
        if (member !== undefined) field.write(writer, member);
      }
      return writer.finish();
    },
    decode: (bytes) => {
      const value: Record<string, unknown> = {};
      for (const [key, field] of entries) value[key] = field.empty();
      for (const wire of wireFields(bytes)) {
        const [key, field] = byNumber.get(wire.number) ?? [];
        if (key !== undefined && field) value[key] = field.read(wire, value[key]);
      }
      return value as FieldsOf<T>;
    },
  };
}

/** Entries that one map or list of a message may hold, so that a small message makes no large one. */
const ENTRIES_MAX = 4096;

export const field = {
  string: (number: number, name: string): Field<string> => ({
    number,
    name,
    type: 'string',
    label: 'single',
    empty: () => '',
    write: (writer, value) => {
      if (value !== '') writer.text(number, value);
    },
    read: (wire) => wireText(bytesOf(wire)),
  }),
  bytes: (number: number, name: string): Field<Uint8Array> => ({
    number,
    name,
    type: 'bytes',
    label: 'single',
    empty: () => NOTHING,
    write: (writer, value) => {
      if (value.length > 0) writer.bytes(number, value);
    },
    read: (wire) => bytesOf(wire),
  }),
  bool: (number: number, name: string): Field<boolean> => ({
    number,
    name,
    type: 'bool',
    label: 'single',
    empty: () => false,
    write: (writer, value) => {
      if (value) writer.varint(number, 1);
    },
    read: (wire) => varintOf(wire) !== 0n,
  }),
  int32: (number: number, name: string): Field<number> => ({
    number,
    name,
    type: 'int32',
    label: 'single',
    empty: () => 0,
    write: (writer, value) => {
      if (value !== 0) writer.varint(number, value);
    },
    read: (wire) => Number(BigInt.asIntN(32, varintOf(wire))),
  }),
  /** Of what a number holds exactly; more is broken. */
  int64: (number: number, name: string): Field<number> => ({
    number,
    name,
    type: 'int64',
    label: 'single',
    empty: () => 0,
    write: (writer, value) => {
      if (value !== 0) writer.varint(number, value);
    },
    read: (wire) => {
      const value = Number(BigInt.asIntN(64, varintOf(wire)));
      if (!Number.isSafeInteger(value)) throw broken(`the number ${value}`);
      return value;
    },
  }),
  /** A member of a oneof: written also when it is empty. */
  optionalString: (number: number, name: string): Field<string | undefined> => ({
    number,
    name,
    type: 'string',
    label: 'single',
    empty: () => undefined,
    write: (writer, value) => {
      if (value !== undefined) writer.text(number, value);
    },
    read: (wire) => wireText(bytesOf(wire)),
  }),
  message: <Message>(
    number: number,
    name: string,
    type: () => MessageType<Message>,
  ): Field<Message | undefined> => ({
    number,
    name,
    type: 'message',
    label: 'single',
    message: type,
    empty: () => undefined,
    write: (writer, value) => {
      if (value !== undefined) writer.bytes(number, type().encode(value));
    },
    read: (wire) => type().decode(bytesOf(wire)),
  }),
  strings: (number: number, name: string): Field<readonly string[]> =>
    repeated(field.string(number, name), (writer, value) => writer.text(number, value)),
  byteStrings: (number: number, name: string): Field<readonly Uint8Array[]> =>
    repeated(field.bytes(number, name), (writer, value) => writer.bytes(number, value)),
  messages: <Message>(
    number: number,
    name: string,
    type: () => MessageType<Message>,
  ): Field<readonly Message[]> => ({
    ...repeated<Message>(
      {
        ...field.message(number, name, type),
        empty: () => undefined as never,
        write: () => undefined,
        read: (wire) => type().decode(bytesOf(wire)),
      },
      (writer, value) => writer.bytes(number, type().encode(value as Partial<Message>)),
    ),
  }),
  /** `map<string, …>`, keyed by text; the last of equal keys counts. */
  byText: <Value>(
    number: number,
    name: string,
    entryName: string,
    valueField: Field<Value>,
  ): Field<ReadonlyMap<string, Value>> => {
    const entry = message(entryName, { key: field.string(1, 'key'), value: valueField });
    return {
      number,
      name,
      type: 'message',
      label: 'map',
      message: () => entry,
      empty: () => new Map(),
      write: (writer, map) => {
        for (const [key, value] of map) {
          writer.bytes(number, entry.encode({ key, value } as never));
        }
      },
      read: (wire, before) => {
        const { key, value } = entry.decode(bytesOf(wire)) as { key: string; value: Value };
        if (before.size >= ENTRIES_MAX) throw broken(`more than ${ENTRIES_MAX} entries`);
        return (before as Map<string, Value>).set(key, value);
      },
    };
  },
} as const;

function repeated<Value>(
  single: Field<Value>,
  writeOne: (writer: WireWriter, value: Value) => void,
): Field<readonly Value[]> {
  return {
    number: single.number,
    name: single.name,
    type: single.type,
    label: 'repeated',
    ...(single.message ? { message: single.message } : {}),
    empty: () => [],
    write: (writer, values) => {
      for (const value of values) writeOne(writer, value);
    },
    read: (wire, before) => {
      if (before.length >= ENTRIES_MAX) throw broken(`more than ${ENTRIES_MAX} entries`);
      (before as Value[]).push(single.read(wire, single.empty()));
      return before;
    },
  };
}

const NOTHING: Uint8Array = Buffer.alloc(0);

export function bytesOf(field: WireField): Uint8Array {
  if (field.wire === 'bytes') return field.value;
  throw broken(`field ${field.number} as ${field.wire}`);
}

function varintOf(field: WireField): bigint {
  if (field.wire === 'varint') return field.value;
  throw broken(`field ${field.number} as ${field.wire}`);
}
