-- A shop that sells in three currencies and merges the orders of its stores into one table.
-- Some imports left blanks around the currency code or wrote it in lower case.
CREATE TABLE orders (
  id bigint(20) unsigned NOT NULL,
  name varchar(32) NOT NULL,
  customer_id bigint(20) unsigned DEFAULT NULL,
  created_at datetime NOT NULL,
  currency varchar(8) NOT NULL,
  financial_status varchar(32) DEFAULT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  line_items longtext DEFAULT NULL,
  shipping_lines longtext DEFAULT NULL,
  refunds longtext DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
