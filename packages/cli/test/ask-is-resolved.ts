import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectWorkload } from '@countersign/sdk';
import { request } from 'undici';

/** The status that the authority answers to a question with names resolved, as the SVID in `folder`. */
export async function askIsResolved(
  folder: string,
  bank: { readonly data: string; readonly url: string },
): Promise<number> {
  const { trustDomain, x509Authorities } = JSON.parse(
    await readFile(join(bank.data, 'trust.json'), 'utf8'),
  );
  const authoritySpiffeId = `spiffe://${trustDomain}/workload/countersign/authority`;
  const workload = await connectWorkload({
    ...{ authorityUrl: bank.url, authoritySpiffeId, x509Authorities, trustDomain, folder },
  });
  const asked = { where: [], order: 'newest', limit: 1, isComplete: false, isResolved: true };
  try {
    const { statusCode, body } = await request(`${bank.url}/v1/record/questions`, {
      method: 'POST',
      dispatcher: workload.dispatcherFor(bank.url, authoritySpiffeId),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    });
    await body.dump();
    return statusCode;
  } finally {
    await workload.close();
  }
}
