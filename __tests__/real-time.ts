/**
 * Lambda's budgets are real time, and a machine that is busy elsewhere takes from them: a test that fails is tried again,
 * and says so. What is wrong with the code is wrong each time.
 */
jest.retryTimes(2, { logErrorsBeforeRetry: true });
