import { AUDIENCES } from '../callers/environment.ts';
import { outcomeWords } from './recorded.ts';
import { type Scene, sceneResult } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** A partner with a certificate reads an account that was opened to it. */
export const partnerReads: Scene = {
  name: 'partner-reads',
  title: 'A partner reads an account that its holder opened to it',
  expected: '200',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'accounts', resource: AUDIENCES.accounts });
      const answer = await ledgerly.call({ path: '/accounts-api/accounts/22289', token });
      return sceneResult(partnerReads, await outcomeWords(env, answer), [answer.eventId]);
    }),
};

/** The same partner, an account of somebody else. */
export const partnerReadsAnother: Scene = {
  name: 'partner-reads-another',
  title: 'The same partner asks for an account that was not opened to it',
  expected: '403 policy-none-permits',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'accounts', resource: AUDIENCES.accounts });
      const answer = await ledgerly.call({ path: '/accounts-api/accounts/22310', token });
      return sceneResult(partnerReadsAnother, await outcomeWords(env, answer), [answer.eventId]);
    }),
};

/** A partner without a certificate: it proves the key of its token with each request. */
export const dpopPartnerReads: Scene = {
  name: 'dpop-partner-reads',
  title: 'A partner without a certificate proves its key with each request (DPoP)',
  expected: '200',
  run: (env) =>
    withCallers(env, ['pocketwise'], async (pocketwise) => {
      const token = await pocketwise.token({ scope: 'accounts', resource: AUDIENCES.accounts });
      const answer = await pocketwise.call({ path: '/accounts-api/accounts/22310', token });
      return sceneResult(dpopPartnerReads, await outcomeWords(env, answer), [answer.eventId]);
    }),
};
