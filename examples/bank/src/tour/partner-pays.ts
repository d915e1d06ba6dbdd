import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AUDIENCES } from '../callers/environment.ts';
import { makePayment } from '../callers/make-payment.ts';
import { JOURNAL_FILE, type JournalLine } from '../services/core/ledger.ts';
import { decisionOf, outcomeWords, RECORD_MS_MAX } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** A payment crosses the edge and three hops; each decided for itself, all under one transaction. */
export const partnerPays: Scene = {
  name: 'partner-pays',
  title: 'A partner pays: edge, payments, accounts and core each decide, under one transaction',
  expected: '201, decided at 4 points, booked',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'payments', resource: AUDIENCES.payments });
      const { consent, payment } = await makePayment(ledgerly, token, {
        account: '22289',
        amount: '12.50',
      });
      if (!payment) {
        return sceneResult(partnerPays, `consent: ${await outcomeWords(env, consent)}`, [
          consent.eventId,
        ]);
      }
      const words = await outcomeWords(env, payment);
      const txn = (await decisionOf(env, payment.eventId))?.txn;
      if (txn === undefined)
        return sceneResult(partnerPays, `${words}, no transaction`, [payment.eventId]);
      const decided = await pointsOf(env, txn);
      const isBooked = await journalHas(env, txn);
      const got = `${words}, decided at ${decided.size} points${isBooked ? ', booked' : ', not booked'}`;
      return sceneResult(partnerPays, got, [...decided.values()]);
    }),
};

/** The token is good and so is the certificate; but nobody could show later that the partner wanted to pay. */
export const partnerPaysUnsigned: Scene = {
  name: 'partner-pays-unsigned',
  title: 'A payment that the partner did not sign is refused at the edge',
  expected: '403 evidence-insufficient',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'payments', resource: AUDIENCES.payments });
      const payment = { account: '22289', amount: '12.50', isSigned: false };
      const { consent } = await makePayment(ledgerly, token, payment);
      return sceneResult(partnerPaysUnsigned, await outcomeWords(env, consent), [consent.eventId]);
    }),
};

/** The edge and payments cannot know whose account it is: the hop that does refuses. */
export const partnerPaysFromAnother: Scene = {
  name: 'partner-pays-from-another',
  title: 'A payment out of an account that is not the partner’s is refused two hops further in',
  expected: '403, refused beside accounts, not booked',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'payments', resource: AUDIENCES.payments });
      const { payment } = await makePayment(ledgerly, token, { account: '22310', amount: '5.00' });
      const txn = (await decisionOf(env, payment?.eventId))?.txn;
      if (!payment || txn === undefined)
        return sceneResult(partnerPaysFromAnother, 'no transaction');
      const refusal = await env.findEvent(
        (event) =>
          event.kind === 'decision' &&
          event.txn === txn &&
          event.surface === 'accounts' &&
          event.effect === 'deny' &&
          event.enforced,
        RECORD_MS_MAX,
      );
      const where = refusal ? 'refused beside accounts' : 'refused nowhere';
      const isBooked = await journalHas(env, txn);
      const got = `${payment.status}, ${where}, ${isBooked ? 'booked' : 'not booked'}`;
      return sceneResult(partnerPaysFromAnother, got, [payment.eventId, refusal?.id]);
    }),
};

/** The points that permitted a part of the transaction, each with the id of one event. */
async function pointsOf(env: TourEnvironment, txn: string): Promise<ReadonlyMap<string, string>> {
  const decided = new Map<string, string>();
  while (decided.size < 4) {
    const event = await env.findEvent(
      (each) =>
        each.kind === 'decision' &&
        each.txn === txn &&
        each.effect === 'permit' &&
        each.enforced &&
        !decided.has(each.origin),
      RECORD_MS_MAX,
    );
    if (!event) break;
    decided.set(event.origin, event.id);
  }
  return decided;
}

/** True when the core booked something for the transaction. */
async function journalHas(env: TourEnvironment, txn: string): Promise<boolean> {
  const text = await readFile(join(env.servicesFolder, 'core', JOURNAL_FILE), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .some((line) => (JSON.parse(line) as JournalLine).transaction === txn);
}
