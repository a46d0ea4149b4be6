-- A Node service that stores webhook payloads with JavaScript names.
-- Times are Date.now() values: milliseconds since 1970.
CREATE TABLE orders (
  id bigint(20) NOT NULL,
  orderName varchar(20) NOT NULL,
  createdAt bigint(20) NOT NULL,
  updatedAt bigint(20) NOT NULL,
  customerId bigint(20) DEFAULT NULL,
  currency varchar(3) NOT NULL,
  financialStatus varchar(30) NOT NULL,
  subtotalPrice decimal(10,2) NOT NULL,
  totalDiscounts decimal(10,2) NOT NULL,
  totalShipping decimal(10,2) NOT NULL,
  totalTax decimal(10,2) NOT NULL,
  totalPrice decimal(10,2) NOT NULL,
  totalRefunded decimal(10,2) NOT NULL,
  lineItems longtext NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
