import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { NextHop } from '../next-hop.ts';
import { Refusal } from '../problem.ts';
import { transactionClaims } from '../transaction.ts';
import { pay } from './pay.ts';
import {
  isSameInitiation,
  type Payment,
  type PaymentBook,
  type PaymentConsent,
  statusOf,
} from './payment-book.ts';
import { consentBody, type Initiation, idempotencyHeaders, paymentBody } from './shapes.ts';

const BASE = '/payments-api';
type WithPayment = { Params: { DomesticPaymentId: string } };

/** Every operation of `payments.openapi.yaml`, in its order. */
export function paymentsRoutes(
  app: FastifyInstance,
  { book, accounts }: { book: PaymentBook; accounts: NextHop },
): void {
  // Payments on their way to their end, by id: a repeated request joins the first.
  const underWay = new Map<string, Promise<Payment>>();

  app.post<{ Body: { Data: { Initiation: Initiation } } }>(
    `${BASE}/domestic-payment-consents`,
    { schema: { body: consentBody, headers: idempotencyHeaders } },
    async (request, reply) => {
      const { Initiation } = request.body.Data;
      const kept = await book.createConsent(partnerOf(request), keyOf(request), Initiation);
      if (kept.kind === 'conflict') throw keyUsed();
      return reply.code(201).send(consentAnswer(kept.value));
    },
  );
  app.get<{ Params: { ConsentId: string } }>(
    `${BASE}/domestic-payment-consents/:ConsentId`,
    async (request) => {
      const consent = book.consent(partnerOf(request), request.params.ConsentId);
      if (!consent) throw new Refusal(404, 'no such consent');
      return consentAnswer(consent);
    },
  );

  app.post<{ Body: { Data: { ConsentId: string; Initiation: Initiation } } }>(
    `${BASE}/domestic-payments`,
    { schema: { body: paymentBody, headers: idempotencyHeaders } },
    async (request, reply) => {
      const partner = partnerOf(request);
      const { ConsentId, Initiation } = request.body.Data;
      const consent = book.consent(partner, ConsentId);
      if (!consent) throw new Refusal(409, 'no such consent');
      if (!isSameInitiation(consent.initiation, Initiation)) {
        throw new Refusal(409, 'consent is for another payment');
      }
      const payment = await begin(book, { partner, key: keyOf(request), consent });
      const status = statusOf(payment);
      if (status === 'Rejected') throw new Refusal(409, 'payment was rejected');
      if (status !== 'Pending') return reply.code(201).send(paymentAnswer(payment));
      let ending = underWay.get(payment.id);
      if (!ending) {
        ending = pay(payment, { book, accounts, incoming: request.headers }).finally(() =>
          underWay.delete(payment.id),
        );
        underWay.set(payment.id, ending);
      }
      return reply.code(201).send(paymentAnswer(await ending));
    },
  );
  app.get<WithPayment>(`${BASE}/domestic-payments/:DomesticPaymentId`, async (request) =>
    paymentAnswer(ownPayment(book, request)),
  );
  app.get<WithPayment>(
    `${BASE}/domestic-payments/:DomesticPaymentId/payment-details`,
    async (request) => {
      const payment = ownPayment(book, request);
      const PaymentStatus = payment.steps.map(({ status, atMs }) => ({
        Status: status,
        StatusUpdateDateTime: new Date(atMs).toISOString(),
      }));
      return { Data: { PaymentStatus }, Links: { Self: request.url } };
    },
  );
}

/** A consent pays once: with another key it is a conflict. */
async function begin(
  book: PaymentBook,
  { partner, key, consent }: { partner: string; key: string; consent: PaymentConsent },
): Promise<Payment> {
  const kept = await book.beginPayment(partner, key, consent);
  if (kept.kind === 'conflict') throw keyUsed();
  return kept.value;
}

function ownPayment(book: PaymentBook, request: FastifyRequest<WithPayment>): Payment {
  const payment = book.payment(partnerOf(request), request.params.DomesticPaymentId);
  if (!payment) throw new Refusal(404, 'no such payment');
  return payment;
}

function partnerOf(request: FastifyRequest): string {
  const claims = transactionClaims(request.headers);
  if (!claims) throw new Refusal(403, 'no transaction', 'this call is good for nobody by itself');
  return claims.subject;
}

function keyOf(request: FastifyRequest): string {
  return request.headers['x-idempotency-key'] as string;
}

function keyUsed(): Refusal {
  return new Refusal(409, 'idempotency key or consent was used already');
}

function consentAnswer(consent: PaymentConsent): Record<string, unknown> {
  const { id, createdMs, initiation, payment } = consent;
  return {
    Data: {
      ConsentId: id,
      // Holders authorise nothing in the example; a payment's debit is still decided on its own.
      Status: payment === undefined ? 'Authorised' : 'Consumed',
      CreationDateTime: new Date(createdMs).toISOString(),
      Initiation: initiation,
    },
    Links: { Self: `${BASE}/domestic-payment-consents/${id}` },
  };
}

function paymentAnswer(payment: Payment): Record<string, unknown> {
  const { id, consent, createdMs, initiation } = payment;
  return {
    Data: {
      DomesticPaymentId: id,
      ConsentId: consent,
      Status: statusOf(payment),
      CreationDateTime: new Date(createdMs).toISOString(),
      Initiation: initiation,
    },
    Links: { Self: `${BASE}/domestic-payments/${id}` },
  };
}
