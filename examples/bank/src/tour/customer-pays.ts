import { AUDIENCES } from '../callers/environment.ts';
import { layDownPayment, type PaymentContent, pay } from '../callers/make-payment.ts';
import { openApplication } from '../callers/open-application.ts';
import { ONBOARDED_CUSTOMERS } from '../data/onboarded-customers.ts';
import { challengeOf } from './challenge.ts';
import { asOperator, enrolledPerson } from './enrolled-person.ts';
import { outcomeWords, RECORD_MS_MAX } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';

const CUSTOMER = '1842';

/**
 * The bank's own customer, in the bank's own application. Nobody's fact tells of her: her token does. What she is signed in
 * for is not what she pays: a payment wants the passkey again, on a page that shows this payment.
 */
export const customerPays: Scene = {
  name: 'customer-pays',
  title:
    'A customer signs in with a passkey, reads her account, and pays what she approved with it',
  expected:
    '200, 403 policy-none-permits, 401 authentication-insufficient, approved, 403 policy-none-permits, 201',
  run: async (env) => {
    await asOperator(env, '/v1/customers', ONBOARDED_CUSTOMERS);
    const application = await openApplication(env, {
      spiffeId: `spiffe://${env.trustDomain}/workload/customer-app`,
      redirectUri: 'https://app.bank.example/callback',
      workloadEndpoint: env.workloadEndpoint('customer-app'),
    });
    try {
      const { withPasskey } = await enrolledPerson(env, {
        name: `customer-${CUSTOMER}`,
        dispatcher: application.dispatcher,
        invite: { path: `/v1/customers/${CUSTOMER}/passkey-invites`, body: {} },
      });
      const reading = { scope: 'accounts', resource: AUDIENCES.accounts };
      const toRead = await application.signIn(withPasskey, reading);
      const read = (account: string) =>
        application.call({ path: `/accounts-api/accounts/${account}`, token: toRead });
      const own = await read('22289');
      const another = await read('22296');

      const paying = { scope: 'payments', resource: AUDIENCES.payments };
      const signedIn = await application.signIn(withPasskey, paying);
      const { consent, content } = await layDownPayment(application, signedIn, {
        account: '22289',
        amount: '12.50',
      });
      if (!content) {
        return sceneResult(customerPays, `consent: ${await outcomeWords(env, consent)}`);
      }
      const tooEarly = await pay(application, signedIn, { content });
      const fromMs = env.now();
      const more = { ...challengeOf(tooEarly.headers['www-authenticate']), ...approving(content) };
      const approved = await application.signIn(withPasskey, { ...paying, more });
      const changed = await pay(application, approved, { content: withAmount(content, '1250.00') });
      const paid = await pay(application, approved, { content });

      const told = await Promise.all(
        [own, another, tooEarly, changed, paid].map((answer) => outcomeWords(env, answer)),
      );
      const approval = await approvalOf(env, fromMs);
      const got = told.toSpliced(3, 0, approval ? 'approved' : 'approval not recorded');
      const ids = [own, another, tooEarly, changed, paid].map(({ eventId }) => eventId);
      return sceneResult(customerPays, got.join(', '), [...ids, approval]);
    } finally {
      await application.close();
    }
  },
};

/** RFC 9396: this very payment, to be read and approved, with the content that will be sent. */
function approving(content: PaymentContent): { readonly authorization_details: string } {
  const { DebtorAccount, InstructedAmount, CreditorAccount } = content.Data.Initiation;
  const detail = {
    type: 'payment_initiation',
    debtorAccount: DebtorAccount.AccountId,
    instructedAmount: { currency: InstructedAmount.Currency, amount: InstructedAmount.Amount },
    creditorAccount: CreditorAccount.Identification,
    creditorName: CreditorAccount.Name,
    content: JSON.stringify(content),
  };
  return { authorization_details: JSON.stringify([detail]) };
}

/** What a thief in the application would send in place of it. */
function withAmount({ Data }: PaymentContent, amount: string): PaymentContent {
  const InstructedAmount = { ...Data.Initiation.InstructedAmount, Amount: amount };
  return { Data: { ...Data, Initiation: { ...Data.Initiation, InstructedAmount } } };
}

/** The event that says what she approved; all of that is sealed in it, so only its time tells which it is. */
async function approvalOf(env: TourEnvironment, fromMs: number): Promise<string | undefined> {
  const event = await env.findEvent(
    (each) =>
      each.kind === 'administration' &&
      each.action === 'authorization-approved' &&
      each.at >= fromMs,
    RECORD_MS_MAX,
  );
  return event?.id;
}
