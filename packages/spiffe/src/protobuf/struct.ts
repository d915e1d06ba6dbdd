import { Buffer } from 'node:buffer';
import type { MessageType } from './message.ts';
import { bytesOf } from './message.ts';
import { broken, WireWriter, wireFields, wireText } from './wire.ts';

/** A JSON object as `google.protobuf.Struct`. */
export type JsonObject = Readonly<Record<string, unknown>>;

const DEPTH_MAX = 32;

/** JSON in protocol buffers; at most 32 levels deep. */
export const structMessage: MessageType<JsonObject> = {
  name: 'google.protobuf.Struct',
  fields: [],
  encode: (value) => encodeStruct(value, 0),
  decode: (bytes) => decodeStruct(bytes, 0),
};

function encodeStruct(value: object, depth: number): Uint8Array {
  const struct = new WireWriter();
  for (const [name, member] of Object.entries(value)) {
    const entry = new WireWriter();
    entry.text(1, name);
    entry.bytes(2, encodeValue(member, depth + 1));
    struct.bytes(1, entry.finish());
  }
  return struct.finish();
}

function encodeValue(value: unknown, depth: number): Uint8Array {
  if (depth > DEPTH_MAX) throw broken(`json of more than ${DEPTH_MAX} levels`);
  const writer = new WireWriter();
  if (value === null || value === undefined) writer.varint(1, 0);
  else if (typeof value === 'number') writer.double(2, value);
  else if (typeof value === 'string') writer.text(3, value);
  else if (typeof value === 'boolean') writer.varint(4, value ? 1 : 0);
  else if (Array.isArray(value)) {
    const list = new WireWriter();
    for (const each of value) list.bytes(1, encodeValue(each, depth + 1));
    writer.bytes(6, list.finish());
  } else if (typeof value === 'object') writer.bytes(5, encodeStruct(value, depth));
  else throw broken(`a ${typeof value} in json`);
  return writer.finish();
}

function decodeStruct(bytes: Uint8Array, depth: number): JsonObject {
  const members: [string, unknown][] = [];
  for (const field of wireFields(bytes)) {
    if (field.number !== 1) continue;
    let name = '';
    let value: unknown = null;
    for (const part of wireFields(bytesOf(field))) {
      if (part.number === 1) name = wireText(bytesOf(part));
      if (part.number === 2) value = decodeValue(bytesOf(part), depth + 1);
    }
    members.push([name, value]);
  }
  // By definition, not assignment: a claim may be called __proto__.
  return Object.fromEntries(members);
}

function decodeValue(bytes: Uint8Array, depth: number): unknown {
  if (depth > DEPTH_MAX) throw broken(`json of more than ${DEPTH_MAX} levels`);
  let value: unknown = null;
  for (const field of wireFields(bytes)) {
    switch (field.number) {
      case 1:
        value = null;
        break;
      case 2:
        if (field.wire !== 'fixed' || field.value.length !== 8) throw broken('a broken number');
        value = Buffer.from(field.value).readDoubleLE();
        break;
      case 3:
        value = wireText(bytesOf(field));
        break;
      case 4:
        value = field.wire === 'varint' && field.value !== 0n;
        break;
      case 5:
        value = decodeStruct(bytesOf(field), depth);
        break;
      case 6:
        value = [...wireFields(bytesOf(field))]
          .filter(({ number }) => number === 1)
          .map((each) => decodeValue(bytesOf(each), depth + 1));
        break;
      default:
    }
  }
  return value;
}
