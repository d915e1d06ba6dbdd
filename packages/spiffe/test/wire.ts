import { Buffer } from 'node:buffer';

/** A field of a message, as bytes say it: a writer and a reader of protocol buffers that share nothing with the room's. */
export type Wire = readonly (readonly [number, Buffer])[];

/** Writes fields of text, bytes or messages. */
export function wire(...fields: readonly (readonly [number, string | Uint8Array])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.from(value);
      return [Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes];
    }),
  );
}

/** Reads fields of text, bytes or messages; numbers are passed over. */
export function unwire(bytes: Buffer): Wire {
  const fields: [number, Buffer][] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes.readUInt8(at);
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const key = number();
    if (key % 8 === 0) number();
    else if (key % 8 === 1) at += 8;
    else if (key % 8 === 2) {
      const length = number();
      fields.push([Math.floor(key / 8), bytes.subarray(at, at + length)]);
      at += length;
    } else throw new Error(`wire type ${key % 8}`);
  }
  return fields;
}

/** All values of one field. */
export function all(fields: Wire | Buffer, number: number): Buffer[] {
  const list = Buffer.isBuffer(fields) ? unwire(fields) : fields;
  return list.filter(([each]) => each === number).map(([, value]) => value);
}

/** The one value of a field, or of one within it. */
export function one(bytes: Buffer, ...path: readonly number[]): Buffer {
  let value = bytes;
  for (const number of path) {
    const values = all(value, number);
    const [first] = values;
    if (!first || values.length !== 1) throw new Error(`${values.length} values of ${number}`);
    value = first;
  }
  return value;
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 0x80, ...varint(Math.floor(value / 128))];
}
