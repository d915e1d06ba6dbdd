import { type SignRequestOptions, signRequest } from '@countersign/sdk';
import { request } from 'undici';

export async function pay(key: SignRequestOptions['key'], accessToken: string, payment: object) {
  const url = 'https://api.bank.example/payments';
  const body = JSON.stringify(payment);
  const headers = {
    authorization: `Bearer ${accessToken}`,
    'content-type': 'application/json',
  };
  const signature = signRequest({ method: 'POST', url, headers, body }, { key });
  return request(url, { method: 'POST', headers: { ...headers, ...signature }, body });
}
