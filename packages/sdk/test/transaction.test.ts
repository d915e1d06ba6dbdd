import { transactionOf, withTransaction } from '@countersign/sdk';
import { describe, expect, test } from 'vitest';

const TOKEN = 'eyJhbGciOiJFZERTQSJ9.eyJ0eG4iOiIxIn0.c2lnbmF0dXJl';
const refused = expect.objectContaining({ code: 'ERR_SDK_TRANSACTION_INVALID' });

describe('the transaction token', () => {
  test.each([
    [{ 'txn-token': TOKEN }],
    [{ 'Txn-Token': TOKEN }],
    [{ 'Txn-Token': [TOKEN], other: undefined }],
  ])('is read from %j', (headers) => {
    expect(transactionOf(headers)).toBe(TOKEN);
  });

  test.each([
    [{}],
    [{ 'txn-token': undefined }],
    [{ 'txn-token': [] }],
    [{ authorization: 'Bearer x' }],
  ])('is absent from %j', (headers) => {
    expect(transactionOf(headers)).toBeUndefined();
  });

  test.each([
    ['two values', { 'txn-token': [TOKEN, TOKEN] }],
    ['two values that Node joined', { 'txn-token': `${TOKEN}, ${TOKEN}` }],
    ['two fields that differ in case', { 'txn-token': TOKEN, 'Txn-Token': TOKEN }],
    ['nothing', { 'txn-token': '' }],
    ['spaces', { 'txn-token': ` ${TOKEN}` }],
    ['no JWS', { 'txn-token': 'token' }],
    ['8193 characters', { 'txn-token': `a.b.${'c'.repeat(8189)}` }],
  ])('of %s is refused', (_, headers) => {
    expect(() => transactionOf(headers)).toThrow(refused);
    expect(() => withTransaction({}, headers)).toThrow(refused);
  });

  test('of 8192 characters is taken', () => {
    const token = `a.b.${'c'.repeat(8188)}`;
    expect(transactionOf({ 'txn-token': token })).toBe(token);
  });

  test('goes on unmodified, and nothing else of the incoming request does', () => {
    const incoming = { 'txn-token': TOKEN, authorization: 'Bearer secret', cookie: 'a=b' };
    const outgoing = withTransaction(
      { accept: 'text/plain', via: ['a', 'b'], x: undefined },
      incoming,
    );
    expect(outgoing).toEqual({ accept: 'text/plain', via: ['a', 'b'], 'txn-token': TOKEN });
  });

  test('of no incoming request gives none', () => {
    expect(withTransaction({ accept: '*/*' }, {})).toEqual({ accept: '*/*' });
  });

  test('that is already there is refused', () => {
    expect(() => withTransaction({ 'Txn-Token': TOKEN }, {})).toThrow(refused);
  });
});
