import type { IpAddress } from '../value/extension.ts';
import type { AddressTest, Dialect } from './dialect.ts';
import { identifier, integer, Sql, SqlParameter, sql } from './sql.ts';

/**
 * PostgreSQL 12 and later, databases in UTF8.
 *
 * Integers beyond a column are `numeric`: `bigint` raises an error on overflow, and no guard beside it is
 * certain to be evaluated first.
 */
export const postgres: Dialect = {
  name: 'PostgreSQL',
  hasArrays: true,
  hasAddresses: true,
  placeholder: (position, cast) => `$${position}::${cast}`,
  isNumbered: true,

  // The cast costs nothing for `text` and `varchar`, and makes `citext` compare by letters, too.
  stored: (column, type) =>
    type.kind === 'string' || type.kind === 'entity' ? sql`${column}::text` : column,
  condition: (column) => column,

  canHold: (text) => !text.includes('\0') && text.isWellFormed(),
  text: (value) => sql`${new SqlParameter(value, 'text')}`,
  long: (value) => sql`${new SqlParameter(BigInt(value), 'bigint')}`,
  address: (value) => sql`${new SqlParameter(spellAddress(value), 'inet')}`,

  equalTexts: (left, right) => sql`${exact(left)} = ${right}`,
  isOneOfTexts: (text, values) => sql`${exact(text)} = ANY(${new SqlParameter(values, 'text[]')})`,
  isOneOfLongs: (long, values) =>
    sql`${long} = ANY(${new SqlParameter(values.map(BigInt), 'bigint[]')})`,
  exactText: exact,
  like(text, pieces) {
    const pattern = pieces.map((piece) => piece.replaceAll(/[!%_]/g, '!$&')).join('%');
    return sql`${exact(text)} LIKE ${new SqlParameter(pattern, 'text')} ESCAPE '!'`;
  },

  arithmetic(operator, left, right) {
    const value = new Sql(['(', left, `::numeric ${operator} `, right, '::numeric)']);
    return {
      value,
      isInRange: sql`${value} BETWEEN -9223372036854775808 AND 9223372036854775807`,
    };
  },
  divide: (value, divisor) => sql`div(${value}::numeric, ${integer(divisor)})`,
  modulo: (value, divisor) =>
    sql`mod(mod(${value}::numeric, ${integer(divisor)}) + ${integer(divisor)}, ${integer(divisor)})`,

  elements(column, { kind, alias, type }) {
    const name = identifier(alias);
    const value = identifier(alias, 'value');
    if (kind === 'array') {
      return { from: sql`unnest(${column}) AS ${name}("value")`, value: this.stored(value, type) };
    }
    const from = sql`jsonb_array_elements(${column}::jsonb) AS ${name}("value")`;
    switch (type.kind) {
      case 'string':
      case 'entity':
        return { from, value: sql`(${value} #>> '{}')` };
      case 'boolean':
        return { from, value: sql`(${value})::boolean` };
      case 'ipaddr':
        return { from, value: sql`(${value} #>> '{}')::inet` };
      default:
        return { from, value: sql`(${value})::numeric` };
    }
  },

  addressTest: (test, address) => ADDRESS_TESTS[test](address),
  isInRange: (inner, outer) => sql`${inner} <<= ${outer}`,
};

// The default collation of a database is deterministic, whatever that of a column: equal are equal bytes only.
// Unlike "C" it lets the usual index serve.
function exact(text: Sql): Sql {
  return sql`${text} COLLATE "default"`;
}

// `<<=` counts the prefix of the left side, as Cedar does: 127.0.0.0/7 is no loopback.
const ADDRESS_TESTS: { readonly [test in AddressTest]: (address: Sql) => Sql } = {
  isIpv4: (address) => sql`family(${address}) = 4`,
  isIpv6: (address) => sql`family(${address}) = 6`,
  isLoopback: (address) =>
    sql`(${address} <<= inet '127.0.0.0/8' OR ${address} <<= inet '::1/128')`,
  isMulticast: (address) =>
    sql`(${address} <<= inet '224.0.0.0/4' OR ${address} <<= inet 'ff00::/8')`,
};

function spellAddress({ version, bits, prefix }: IpAddress): string {
  const [groups, width, radix, between] = version === 4 ? [4, 8n, 10, '.'] : [8, 16n, 16, ':'];
  const mask = (1n << width) - 1n;
  const texts = Array.from({ length: groups }, (_, index) =>
    ((BigInt(bits) >> (width * BigInt(groups - 1 - index))) & mask).toString(radix),
  );
  return `${texts.join(between)}/${prefix}`;
}
