-- A Node application with Prisma: camelCase names, cuid keys, Float money, DATETIME(3).
CREATE TABLE orders (
  id varchar(191) NOT NULL,
  `shopifyId` varchar(191) NOT NULL,
  `orderNumber` int NOT NULL,
  `customerEmail` varchar(191) DEFAULT NULL,
  currency varchar(191) NOT NULL DEFAULT 'AUD',
  `subtotalPrice` float(10,2) NOT NULL,
  `totalDiscounts` float(10,2) NOT NULL,
  `totalShipping` float(10,2) NOT NULL,
  `totalTax` float(10,2) NOT NULL,
  `totalPrice` float(10,2) NOT NULL,
  `totalRefunded` float(10,2) NOT NULL,
  `financialStatus` varchar(191) DEFAULT NULL,
  `fulfillmentStatus` varchar(191) DEFAULT NULL,
  `isTest` tinyint(1) NOT NULL DEFAULT 0,
  `lineItems` json NOT NULL,
  `shopifyCreatedAt` datetime(3) NOT NULL,
  `createdAt` datetime(3) NOT NULL DEFAULT current_timestamp(3),
  `updatedAt` datetime(3) NOT NULL,
  PRIMARY KEY (id)
);
