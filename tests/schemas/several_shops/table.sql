-- A group of shops that collects the orders of all of them in one table.
CREATE TABLE orders (
  id int unsigned NOT NULL AUTO_INCREMENT,
  shop varchar(64) NOT NULL,
  order_number int NOT NULL,
  email varchar(255) DEFAULT NULL,
  created_at datetime NOT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) NOT NULL,
  discount decimal(10,2) NOT NULL,
  subtotal decimal(10,2) NOT NULL,
  shipping decimal(10,2) NOT NULL,
  tax decimal(10,2) NOT NULL,
  total decimal(10,2) NOT NULL,
  total_refunded decimal(10,2) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY shop_order (shop, order_number)
);
