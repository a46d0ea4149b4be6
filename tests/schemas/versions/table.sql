-- A webhook receiver that never updates: orders/create and orders/updated each add a row.
CREATE TABLE orders (
  id bigint unsigned NOT NULL,
  updated_at datetime NOT NULL,
  name varchar(32) NOT NULL,
  customer_email varchar(255) DEFAULT NULL,
  created_at datetime NOT NULL,
  cancelled_at datetime DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) NOT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_shipping decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  total_refunded decimal(10,2) NOT NULL,
  PRIMARY KEY (id, updated_at)
);
